"""The settings of an evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from mmsrec.settings.row import Frozen, Positive


class Evaluation(Frozen):
    """The protocol of a ranking."""

    candidates: Literal["all", "unseen"] = Field(
        description="all: rank among all items; unseen: without the items of the user's history"
    )
    cutoffs: Annotated[list[Positive], Field(min_length=1)] = Field(description="values of k for Recall@k and NDCG@k")
    top: Positive = Field(description="number of best items that are stored for each user")
