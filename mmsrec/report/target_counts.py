"""How often each user's test item occurs in training, from the sequences of a data set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mmsrec.artifacts import SCHEMAS, open_table
from mmsrec.settings.evaluation import Protocol

HELD_OUT = 2  # the validation and the test item of every user


@dataclass(frozen=True)
class TargetCounts:
    """The test items of a data set.

    Attributes:
        users: one row a user, in the order of their names, with the columns user, count, seen and cold. `count` is
            the number of training actions with the test item. `seen` is the number of other items of the history.
            `cold` tells whether the test item occurs in no training or validation part.
        cold_items: number of items that occur in no training or validation part.
    """

    users: pl.DataFrame
    cold_items: int

    def candidates(self, protocol: Protocol, items: int) -> np.ndarray:
        """The number of candidates of each user [U] under a protocol.

        Args:
            items: number of items of the k-core.
        """
        counts = {"all": pl.lit(items), "unseen": items - pl.col("seen"), "cold": pl.lit(self.cold_items)}
        return self.users.select(pl.all(), candidates=counts[protocol])["candidates"].to_numpy()


def target_counts(path: Path, items: int, *, cold: bool = False) -> TargetCounts:
    """Counts the training actions with each user's test item.

    Args:
        path: sequences.parquet.
        items: number of items of the k-core.
        cold: whether users whose test item is not cold are left out, because they are not tested.

    Raises:
        ArtifactError: the file is damaged.
    """
    with open_table(path, SCHEMAS["sequences"]) as file:
        sequences = pl.from_arrow(file.read(["user", "items"]))
    length = pl.col("items").list.len().cast(pl.Int64)
    training = sequences.select(target=pl.col("items").list.slice(0, length - HELD_OUT).explode())
    known = sequences.select(target=pl.col("items").list.slice(0, length - 1).explode()).unique()
    targets = sequences.select(
        "user",
        target=pl.col("items").list.last(),
        seen=_others(pl.col("items").list.slice(0, length - 1), pl.col("items").list.last()),
    )
    users = (
        targets.join(training.group_by("target").agg(count=pl.len()), on="target", how="left")
        .join(known.with_columns(cold=False), on="target", how="left")
        .select("user", pl.col("count").fill_null(0).cast(pl.Int64), "seen", pl.col("cold").fill_null(value=True))
        .sort("user")
    )
    return TargetCounts(users.filter("cold") if cold else users, items - known.height)


def _others(history: pl.Expr, target: pl.Expr) -> pl.Expr:
    return (history.list.n_unique().cast(pl.Int64) - history.list.contains(target).cast(pl.Int64)).alias("seen")
