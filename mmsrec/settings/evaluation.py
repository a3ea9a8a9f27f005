"""The settings of an evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from mmsrec.settings.row import Frozen, Positive


class Evaluation(Frozen):
    """The protocol of a ranking."""

    candidates: Literal["all", "unseen"] = Field(description="rank among all items, or leave out the user's history")
    cutoffs: Annotated[list[Positive], Field(min_length=1)] = Field(description="k of Recall@k and NDCG@k")
    top: Positive = Field(description="best items kept for each user")
