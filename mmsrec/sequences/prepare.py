"""Writes the k-core of a domain with its interactions, items and statistics."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table, write_batches, write_table
from mmsrec.errors import DataError
from mmsrec.files import write_json
from mmsrec.sequences.coded import CodedInteractions, read_interactions
from mmsrec.sequences.kcore import k_core
from mmsrec.settings.data import Repeats
from mmsrec.sources.ids import check_described

logger = logging.getLogger(__name__)

PAIR = ["user", "item"]
ROW = ["user", "item", "timestamp"]


@dataclass(frozen=True)
class Statistics:
    """The statistics of one k-core (Tables 2 and 4 of the paper).

    Attributes:
        sparsity: share of empty cells of the users x items matrix.
        mean_length: actions of a user.
        repeated_pairs: actions whose user and item an earlier row has.
        repeated_rows: actions whose user, item and time an earlier row has.
    """

    domain: str
    k_core: int
    users: int
    items: int
    actions: int
    sparsity: float
    mean_length: float
    repeated_pairs: int
    repeated_rows: int


def prepare(ingested: Path, output: Path, *, domain: str, k: int, repeats: Repeats = "keep") -> Statistics:
    """Filters a domain to its k-core and writes interactions, items and statistics into `output`.

    Args:
        ingested: folder with interactions.parquet and items.parquet as a source's parser writes them.
        output: folder of the k-core.
        domain: name of the domain, for the statistics.
        k: least number of interactions of a user and of an item.
        repeats: which of equal rows stay; it applies before the k-core.

    Raises:
        ArtifactError: an ingested table is missing or damaged.
        DataError: the k-core is empty, or none of its items is described.
    """
    interactions = read_interactions(ingested / "interactions.parquet")
    interactions = interactions._replace(rows=_filtered(_kept(interactions.rows, repeats), k))
    if interactions.rows.is_empty():
        raise DataError(
            "The k-core is empty.",
            where=ingested / "interactions.parquet",
            expected=f"users and items with at least {k} interactions each",
            found="none",
            fix="Choose a smaller k_core, or check that the source file holds the whole domain.",
        )
    described = pl.from_arrow(read_table(ingested / "items.parquet", SCHEMAS["raw_items"]))
    items = _items(interactions, described)
    place = f"{domain}, k={k}"
    check_described(items["item_id"], described["item_id"], place, ingested / "items.parquet")
    statistics = _statistics(domain, k, interactions.rows)
    if statistics.repeated_pairs:
        logger.info(
            "%s: %s of %s actions repeat a user's item, %s of them at the same time",
            place,
            f"{statistics.repeated_pairs:,}",
            f"{statistics.actions:,}",
            f"{statistics.repeated_rows:,}",
        )

    write_batches(output / "interactions.parquet", interactions.texts(), SCHEMAS["interactions"])
    write_table(output / "items.parquet", items.to_arrow(), SCHEMAS["items"])
    write_json(output / "statistics.json", asdict(statistics))
    return statistics


def _kept(interactions: pl.DataFrame, repeats: Repeats) -> pl.DataFrame:
    """The rows that the rule for repeated rows keeps, in their order."""
    match repeats:
        case "keep":
            return interactions
        case "first-of-pair":
            # The first in time, and at equal times the first in the file.
            rows = (
                interactions.with_row_index("row")
                .sort("timestamp", "row")
                .unique(PAIR, keep="first", maintain_order=True)
            )
            return rows.sort("row").drop("row")
        case "first-of-row":
            return interactions.unique(ROW, keep="first", maintain_order=True)


def _filtered(interactions: pl.DataFrame, k: int) -> pl.DataFrame:
    return interactions.filter(k_core(interactions["user"].to_numpy(), interactions["item"].to_numpy(), k))


def _items(interactions: CodedInteractions, described: pl.DataFrame) -> pl.DataFrame:
    """Items in the order of their ids; an item that the source does not describe has no title, text or media."""
    ids = interactions.ids["item"].take(interactions.rows["item"].unique().to_arrow())
    return (
        pl.Series("item_id", ids)
        .to_frame()
        .join(described, on="item_id", how="left")
        .sort("item_id")
        .with_row_index("item_index")
    )


def _statistics(domain: str, k: int, interactions: pl.DataFrame) -> Statistics:
    users, items = (int(np.count_nonzero(np.bincount(interactions[side]))) for side in PAIR)
    actions = interactions.height
    repeated_pairs, repeated_rows = _repeated(interactions)
    return Statistics(
        domain=domain,
        k_core=k,
        users=users,
        items=items,
        actions=actions,
        sparsity=1 - (actions - repeated_pairs) / (users * items),
        mean_length=actions / users,
        repeated_pairs=repeated_pairs,
        repeated_rows=repeated_rows,
    )


def _repeated(interactions: pl.DataFrame) -> tuple[int, int]:
    """The number of rows whose user and item, and whose user, item and time an earlier row has."""
    users, items = (interactions[side].to_numpy().astype(np.int64) for side in PAIR)
    pairs = users * (items.max() + 1) + items
    # A sort of numbers takes a fraction of the memory of a hash table of rows, and few pairs are repeated.
    ordered = np.sort(pairs)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return 0, 0
    is_repeated = again[np.searchsorted(again, pairs).clip(max=len(again) - 1)] == pairs
    pairs, times = pairs[is_repeated], interactions["timestamp"].to_numpy()[is_repeated]
    order = np.lexsort((times, pairs))
    same_pair, same_time = (column[order][1:] == column[order][:-1] for column in (pairs, times))
    return len(again), int((same_pair & same_time).sum())
