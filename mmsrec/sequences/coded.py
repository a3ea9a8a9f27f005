"""Interactions whose ids are numbers, so that memory holds 16 bytes a row and each id once."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, open_table

SIDES = ("user", "item")
ROWS = 1 << 20  # rows that are texts at a time, and a row group of the file


class CodedInteractions(NamedTuple):
    """The rows of interactions.parquet, in their order.

    Attributes:
        rows: columns user and item with codes, and timestamp.
        ids: the ids of users and of items by their codes, which count in the order of first occurrence.
    """

    rows: pl.DataFrame
    ids: dict[str, pa.StringArray]

    def texts(self) -> Iterator[pa.Table]:
        """The rows with their ids, some at a time; at least one table."""
        for start in range(0, max(1, self.rows.height), ROWS):
            part = self.rows.slice(start, ROWS)
            named = {side: self.ids[side].take(part.get_column(side).to_arrow()) for side in SIDES}
            yield pa.table({**named, "timestamp": part.get_column("timestamp").to_arrow()})


def read_interactions(path: Path) -> CodedInteractions:
    """Reads interactions.parquet.

    Raises:
        ArtifactError: the file is missing or damaged, or has other columns.
    """
    parts: dict[str, list[pa.Array]] = {side: [] for side in SIDES}
    times: list[pa.Array] = []
    with open_table(path, SCHEMAS["interactions"]) as file:
        for batch in file.iter_batches(ROWS):
            for side in SIDES:
                parts[side].append(batch.column(side).dictionary_encode())
            times.append(batch.column("timestamp"))
    kind = pa.dictionary(pa.int32(), pa.string())
    columns = {side: pa.chunked_array(parts[side], kind).unify_dictionaries().combine_chunks() for side in SIDES}
    timestamps = pl.Series("timestamp", pa.chunked_array(times, pa.int64()))
    return CodedInteractions(
        pl.DataFrame([*(pl.Series(side, columns[side].indices) for side in SIDES), timestamps]),
        {side: columns[side].dictionary for side in SIDES},
    )
