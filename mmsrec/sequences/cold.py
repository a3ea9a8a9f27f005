"""Sequences whose test items training never saw: a share of the items is removed from training and validation.

The rules of one user's sequence:

| user | sequence | tested |
| --- | --- | --- |
| at least two warm actions before the last cold action | these warm actions, then that cold action | yes |
| otherwise, at least three warm actions | the warm actions | no |
| otherwise | none | no |

A cold action has a drawn item, and a warm action another one. Warm actions after the test item are dropped, because
they would be later than it.
"""

import logging

import numpy as np
import polars as pl

from mmsrec.errors import DataError

logger = logging.getLogger(__name__)

WARM_BEFORE = 2  # one action for training and one for validation
SHORTEST = 3  # the same, and the test item
STREAM = 1  # the draw shares its seed with the order of ties, but not its random numbers


def draw_cold_items(interactions: pl.DataFrame, share: float, seed: int) -> pl.Series:
    """Draws a share of the items, stratified by popularity.

    The items are sorted by their number of actions and cut into blocks of almost one size, and one item of each block
    is drawn. So the drawn items are as popular as the others. The draw does not depend on the order of the rows.

    Args:
        interactions: column item.
        share: share of the items, above 0. At least one item is drawn.
        seed: seed of the draw.

    Returns:
        Ids of the drawn items.
    """
    ranked = interactions.group_by("item").len().sort("len", "item")["item"]
    blocks = max(1, round(share * len(ranked)))
    bounds = np.arange(blocks + 1) * len(ranked) // blocks
    drawn = np.random.default_rng([seed, STREAM]).random(blocks)
    return ranked.gather(bounds[:-1] + (drawn * np.diff(bounds)).astype(np.int64))


def hold_back(ordered: pl.DataFrame, cold: pl.Series) -> pl.DataFrame:
    """The actions that stay in the sequences, by the rules of this module.

    Args:
        ordered: columns user, item, timestamp; the actions of a user stand together, in the order of time.
        cold: ids of the drawn items.

    Returns:
        Rows of `ordered`, in the same order.

    Raises:
        DataError: no user can be tested.
    """
    place, is_cold = pl.int_range(pl.len()).over("user"), pl.col("item").is_in(cold.implode())
    marked = ordered.with_columns(is_cold=is_cold, place=place).with_columns(
        last=pl.col("place").filter("is_cold").max().over("user"), warm=(~pl.col("is_cold")).sum().over("user")
    )
    before = ~pl.col("is_cold") & (pl.col("place") < pl.col("last"))
    tested = (before.sum().over("user") >= WARM_BEFORE) & pl.col("last").is_not_null()
    marked = marked.with_columns(before=before.fill_null(value=False), tested=tested)
    of_tested = pl.col("before") | (pl.col("place") == pl.col("last"))
    of_others = ~pl.col("is_cold") & (pl.col("warm") >= SHORTEST)
    _report(marked, cold)
    return marked.filter(pl.when("tested").then(of_tested).otherwise(of_others)).select(ordered.columns)


def _report(marked: pl.DataFrame, cold: pl.Series) -> None:
    """Logs the sizes of the parts.

    Raises:
        DataError: no user is tested.
    """
    users = marked.unique("user")
    tested = users["tested"].sum()
    left_out = users.filter(~pl.col("tested") & (pl.col("warm") < SHORTEST)).height
    dropped = marked.filter(pl.col("tested") & ~pl.col("is_cold") & ~pl.col("before")).height
    if not tested:
        raise DataError(
            "No user can be tested on cold items.",
            where=f"cold_items: {len(cold)} items are drawn",
            expected=f"a user with {WARM_BEFORE} actions on other items before an action on a drawn item",
            found=f"{users.height:,} users without",
            fix="Choose another share of cold_items or another seed.",
        )
    logger.info("cold items: %d; users that are tested on them: %d of %d", len(cold), tested, users.height)
    logger.info("users with too few warm actions, left out: %d", left_out)
    logger.info("warm actions after the test items, dropped: %d of %d", dropped, marked.height)
