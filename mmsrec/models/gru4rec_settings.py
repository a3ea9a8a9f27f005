"""The settings of GRU4Rec."""

from typing import Literal

from pydantic import Field

from mmsrec.settings.row import Frozen, Share, Width


class GRU4RecSettings(Frozen):
    """A recurrent network over item embeddings (Hidasi et al., 2016; Tan et al., 2016)."""

    dim: Width = Field(description="width of item vectors")
    hidden: Width = Field(description="width of the state of the GRU")
    dropout: Share = Field(description="dropout of the item vectors that the GRU reads")
    objective: Literal["causal", "next"] = Field(
        description="causal: each place predicts the next item; next: the last place alone predicts"
    )
