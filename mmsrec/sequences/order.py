"""The order of a user's interactions by time, with one of three rules for equal timestamps.

Amazon's timestamps have day precision, so almost half of the neighbouring actions are ties. The rule for ties is thus a
part of the experiment.

| rule | equal timestamps follow |
| --- | --- |
| source | the order of the rows in the source file |
| item | the item's id |
| shuffle | a seeded random order that does not depend on the order of the rows |
"""

import numpy as np
import polars as pl

from mmsrec.settings.data import Ties


def order(interactions: pl.DataFrame, ties: Ties, seed: int) -> pl.DataFrame:
    """Sorts interactions by user, time and the rule for equal timestamps.

    Args:
        interactions: columns user, item, timestamp, in the order of the source file.
        ties: the rule for equal timestamps of a user.
        seed: seed of the rule `shuffle`.

    Returns:
        The same rows and columns, sorted.
    """
    match ties:
        case "source":
            keyed = interactions.with_row_index("tie")
        case "item":
            keyed = interactions.with_columns(tie="item")
        case "shuffle":
            canonical = interactions.sort("user", "timestamp", "item")
            keyed = canonical.with_columns(tie=np.random.default_rng(seed).random(canonical.height))
    return keyed.sort("user", "timestamp", "tie", maintain_order=True).drop("tie")
