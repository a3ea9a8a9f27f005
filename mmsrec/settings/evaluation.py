"""The settings of an evaluation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mmsrec.settings.row import Frozen, Positive, Width

Candidates = Literal["all", "unseen"]
# Sequences with cold items have one protocol more.
Protocol = Literal["all", "unseen", "cold"]
# The columns of ranks.parquet under each protocol: the rank and the number of ties.
RANK_COLUMNS: dict[Protocol, tuple[str, str]] = {
    "all": ("rank", "ties"),
    "unseen": ("unseen_rank", "unseen_ties"),
    "cold": ("cold_rank", "cold_ties"),
}


def each_once(protocols: list[Protocol]) -> list[Protocol]:
    """Checks that no protocol is named twice."""
    if len(set(protocols)) < len(protocols):
        raise ValueError(f"each protocol may be named once, found {', '.join(protocols)}")
    return protocols


class Evaluation(Frozen):
    """The protocols of a ranking."""

    candidates: Annotated[list[Candidates], Field(min_length=1), AfterValidator(each_once)] = Field(
        ["all", "unseen"],
        description="all: rank among all items, as in the paper; unseen: without the items of the user's history. The "
        "first one decides the best items that are stored",
    )
    cutoffs: Annotated[list[Positive], Field(min_length=1)] = Field(description="values of k for Recall@k and NDCG@k")
    top: Width = Field(description="number of best items that are stored for each user")

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in the order in which tables show them."""
        return [*(f"{family}@{cutoff}" for family in ("recall", "ndcg") for cutoff in self.cutoffs), "mrr"]
