"""The settings of an evaluation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mmsrec.settings.row import Frozen, Positive

Candidates = Literal["all", "unseen"]


def _each_once(protocols: list[Candidates]) -> list[Candidates]:
    if len(set(protocols)) < len(protocols):
        raise ValueError("each of all and unseen may be named once")
    return protocols


class Evaluation(Frozen):
    """The protocols of a ranking."""

    candidates: Annotated[list[Candidates], Field(min_length=1), AfterValidator(_each_once)] = Field(
        ["all", "unseen"],
        description="all: rank among all items, as in the paper; unseen: without the items of the user's history. The "
        "first one decides the best items that are stored",
    )
    cutoffs: Annotated[list[Positive], Field(min_length=1)] = Field(description="values of k for Recall@k and NDCG@k")
    top: Positive = Field(description="number of best items that are stored for each user")

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in the order in which tables show them."""
        return [*(f"{family}@{cutoff}" for family in ("recall", "ndcg") for cutoff in self.cutoffs), "mrr"]
