"""The settings of SASRec."""

from typing import Literal

from pydantic import Field

from mmsrec.models.transformer_settings import TransformerSettings


class SASRecSettings(TransformerSettings):
    """A causal transformer over item embeddings (Kang and McAuley, 2018)."""

    objective: Literal["causal", "next"] = Field(
        "causal", description="causal: each place predicts the next item; next: the last place alone predicts"
    )
    positions: Literal["end", "start"] = Field(
        "end", description="end: positions count from the end of the window; start: from the first item in it"
    )
