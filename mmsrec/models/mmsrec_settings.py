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
    whiten: bool = Field(description="decorrelate features and scale them to unit variance before the projection")
    missing: Literal["mask_token", "drop"] = Field(
        description="mask_token: the [mask] replaces an absent modality; drop: its token is not read"
    )
    temperature: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "ItemEncoderSettings":
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim: {self.heads} does not divide {self.dim}")
        return self


class MMSRecSettings(ItemEncoderSettings):
    """The paper's model (Section 3.3), and its measured variants."""

    objective: Literal["masked", "causal"] = Field(
        description="masked: hidden items are predicted (Section 3.3.3); causal: every item predicts the next"
    )
    mask_probability: Share = Field(
        description="probability that an item before the last is hidden; only for objective: masked"
    )
    positions: Literal["end", "start"] = Field(
        description="end: positions count from the end of the window; start: from the sequence's first item in it"
    )
    item_tower: Literal["shared", "own"] = Field(
        description="shared: single items pass the transformer of sequences; own: a second transformer"
    )
    item_embedding: bool = Field(description="add a trained vector of each item to its tokens")
