"""The settings of the paper's item encoder and of the model that is built on it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.settings.row import Frozen, Positive, Share


class ItemEncoderSettings(Frozen):
    """The transformer of both towers (Sections 3.2.2, 4.1.3 and 4.2.4 of the paper)."""

    dim: Positive = Field(description="width of the model")
    layers: Positive = Field(description="transformer blocks")
    heads: Positive = Field(description="attention heads; they divide dim")
    feedforward: Positive = Field(description="hidden width of a block's feed-forward network")
    embedding_dropout: Share
    hidden_dropout: Share
    whiten: bool = Field(description="features are decorrelated, to unit variance, before they are projected")
    missing: Literal["mask_token", "drop"] = Field(description="what stands for an absent modality")
    temperature: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "ItemEncoderSettings":
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim: {self.heads} does not divide {self.dim}")
        return self


class MMSRecSettings(ItemEncoderSettings):
    """The paper's model (Section 3.3), and the variants of it that are measured beside it."""

    objective: Literal["masked", "causal"] = Field(
        description="hidden items are predicted (Section 3.3.3), or at every item the next one"
    )
    mask_probability: Share = Field(description="of a position that is not the last; for the masked objective")
    positions: Literal["end", "start"] = Field(
        description="position embeddings count from the window's end, or from the sequence's first item in it"
    )
    item_tower: Literal["shared", "own"] = Field(description="the sequences' transformer, or another one of its own")
    item_embedding: bool = Field(description="a trained vector of each item is added to its tokens")
