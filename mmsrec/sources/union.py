"""Several ingested domains as one; each user and each item keeps its domain's name as a prefix of its id."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mmsrec.artifacts import SCHEMAS, open_table, write_batches
from mmsrec.errors import DataError
from mmsrec.progress import progress

logger = logging.getLogger(__name__)

# The tables of an ingested domain, each with its kind of artifact and its columns of ids.
TABLES = {"items": ("raw_items", ["item_id"]), "interactions": ("interactions", ["user", "item"])}
ROWS = 1 << 20  # rows in memory at a time


def unite(ingested: Path, members: Sequence[str], output: Path) -> None:
    """Writes items.parquet and interactions.parquet of a union into `output`.

    An id `X` of the domain `food` becomes `food/X`. So two domains share no user and no item, and the k-core of the
    union is the union of the k-cores. The rows keep the order of the members and of each member's rows.

    Args:
        ingested: folder with a folder of each ingested domain.
        members: names of the domains.
        output: folder of the two tables.

    Raises:
        ArtifactError: a table of a member is missing or damaged.
        DataError: an item occurs twice in a member.
    """
    for member in members:
        _check_items(ingested / member / "items.parquet")
    for table, (kind, ids) in TABLES.items():
        path = output / f"{table}.parquet"
        with progress(table, None, unit=" rows") as bar:
            batches = (batch for member in members for batch in _prefixed(ingested, member, table, kind, ids))
            rows = write_batches(path, _counted(batches, bar.update), SCHEMAS[kind])
        logger.info("%s: %s rows of %s", path, f"{rows:,}", ", ".join(members))


def _check_items(path: Path) -> None:
    with open_table(path, SCHEMAS["raw_items"]) as file:
        ids = file.read(columns=["item_id"]).column("item_id")
    counts = ids.value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        raise DataError(
            "An item occurs twice in a member of a union.",
            where=path,
            expected="one row for each item",
            found=f"{repeated[0].as_py()}, and {len(repeated) - 1:,} further items",
            fix="Run the stage ingest for this domain again.",
        )


def _prefixed(ingested: Path, member: str, table: str, kind: str, ids: Sequence[str]) -> Iterator[pa.Table]:
    with open_table(ingested / member / f"{table}.parquet", SCHEMAS[kind]) as file:
        for batch in file.iter_batches(ROWS):
            rows = pa.Table.from_batches([batch])
            for column in ids:
                joined = pc.binary_join_element_wise(f"{member}/", rows.column(column), "")
                rows = rows.set_column(rows.column_names.index(column), column, joined)
            yield rows


def _counted(tables: Iterator[pa.Table], count: Callable[[int], object]) -> Iterator[pa.Table]:
    for table in tables:
        yield table
        count(table.num_rows)
