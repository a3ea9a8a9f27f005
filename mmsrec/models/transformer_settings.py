"""The settings that every model built on transformer blocks has."""

from pydantic import Field, model_validator

from mmsrec.settings.row import Few, Frozen, Share, Width


class TransformerSettings(Frozen):
    """Sizes and dropouts of a stack of transformer blocks."""

    dim: Width = Field(description="width of the model")
    layers: Few = Field(description="transformer blocks")
    heads: Few = Field(description="attention heads; they divide dim")
    feedforward: Width = Field(description="hidden width of a block's feed-forward network")
    embedding_dropout: Share
    hidden_dropout: Share
    attention_dropout: Share = Field(0.0, description="dropout of the attention weights")
    feedforward_dropout: Share = Field(0.0, description="dropout within the feed-forward networks, after GELU")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "TransformerSettings":
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim: {self.heads} does not divide {self.dim}")
        return self
