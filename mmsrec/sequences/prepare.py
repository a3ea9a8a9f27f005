"""Writes the k-core of a domain with its interactions, items and statistics."""

from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import DataError
from mmsrec.files import write_json
from mmsrec.sequences.kcore import k_core


@dataclass(frozen=True)
class Statistics:
    """The statistics of one k-core (Tables 2 and 4 of the paper).

    `sparsity` is the share of empty cells of the users x items matrix.
    """

    domain: str
    k_core: int
    users: int
    items: int
    actions: int
    sparsity: float
    mean_length: float


def prepare(ingested: Path, output: Path, *, domain: str, k: int) -> Statistics:
    """Filters a domain to its k-core and writes interactions, items and statistics into `output`.

    Args:
        ingested: folder with interactions.parquet and items.parquet as a source's parser writes them.
        output: folder of the k-core.
        domain: name of the domain, for the statistics.
        k: least number of interactions of a user and of an item.

    Raises:
        ArtifactError: an ingested table is missing or damaged.
        DataError: the k-core is empty.
    """
    interactions = _filtered(_read(ingested / "interactions.parquet", "interactions"), k)
    if interactions.is_empty():
        raise DataError(
            "The k-core is empty.",
            where=ingested / "interactions.parquet",
            expected=f"users and items with at least {k} interactions each",
            found="none",
            fix="Choose a smaller k_core, or check that the source file holds the whole domain.",
        )
    items = _items(interactions, _read(ingested / "items.parquet", "raw_items"))
    statistics = _statistics(domain, k, interactions["user"].n_unique(), items.height, interactions.height)

    for name, table in {"interactions": interactions, "items": items}.items():
        write_table(output / f"{name}.parquet", table.to_arrow(), SCHEMAS[name])
    write_json(output / "statistics.json", asdict(statistics))
    return statistics


def _read(path: Path, kind: str) -> pl.DataFrame:
    return pl.from_arrow(read_table(path, SCHEMAS[kind]))


def _filtered(interactions: pl.DataFrame, k: int) -> pl.DataFrame:
    codes = interactions.select(pl.col("user", "item").rank("dense") - 1)
    return interactions.filter(k_core(codes["user"].to_numpy(), codes["item"].to_numpy(), k))


def _items(interactions: pl.DataFrame, described: pl.DataFrame) -> pl.DataFrame:
    """Items in the order of their ids; an item that the source does not describe has no title, text or media."""
    return (
        interactions.select(item_id="item")
        .unique()
        .join(described, on="item_id", how="left")
        .sort("item_id")
        .with_row_index("item_index")
    )


def _statistics(domain: str, k: int, users: int, items: int, actions: int) -> Statistics:
    return Statistics(
        domain=domain,
        k_core=k,
        users=users,
        items=items,
        actions=actions,
        sparsity=1 - actions / (users * items),
        mean_length=actions / users,
    )
