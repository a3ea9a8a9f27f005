"""The sequences that a split makes from a k-core; leave-one-out holds out the last two items of each."""

from pathlib import Path

import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.sequences.cold import draw_cold_items, hold_back
from mmsrec.sequences.order import order
from mmsrec.settings.data import Split


def split(core: Path, row: Split, output: Path) -> int:
    """Orders the interactions of a k-core and writes one sequence for each user.

    Args:
        core: folder with interactions.parquet and items.parquet, which `prepare` wrote.
        row: the rule for equal timestamps, and the share of cold items.
        output: file of the sequences.

    Returns:
        The number of users.

    Raises:
        ArtifactError: a table of the k-core is missing or damaged.
        DataError: there are cold items, and no user can be tested on them.
    """
    interactions = pl.from_arrow(read_table(core / "interactions.parquet", SCHEMAS["interactions"]))
    items = pl.from_arrow(read_table(core / "items.parquet", SCHEMAS["items"]))
    ordered = order(interactions, row.ties, row.seed)
    if row.cold_items:
        ordered = hold_back(ordered, draw_cold_items(interactions, row.cold_items, row.seed))
    sequences = _sequences(ordered, items)
    write_table(output, sequences.to_arrow(), SCHEMAS["sequences"])
    return sequences.height


def _sequences(ordered: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    indices = items.select(item="item_id", items="item_index")
    return (
        ordered.join(indices, on="item", how="left", maintain_order="left")
        .group_by("user", maintain_order=True)
        .agg("items", timestamps="timestamp")
        .with_row_index("user_index")
    )
