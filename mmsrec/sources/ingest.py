"""A source's raw files as the two tables that everything later reads."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mmsrec.artifacts import SCHEMAS, write_batches
from mmsrec.errors import ArtifactError
from mmsrec.progress import progress
from mmsrec.sources import amazon, movielens, tables

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The readers of a format.

    Attributes:
        interactions: yields frames of user, item, timestamp in the order of the file.
        items: yields frames of item_id, title, text, media_url; takes the file and the fields that make up the text.
    """

    interactions: Callable[[Path], Iterator[pl.DataFrame]]
    items: Callable[[Path, Sequence[str]], Iterator[pl.DataFrame]]


# The formats that a domain's `source` can name.
SOURCES = {
    "amazon": Source(amazon.interactions, amazon.items),
    "movielens": Source(movielens.interactions, movielens.items),
    "table": Source(tables.interactions, tables.items),
}


def ingest(
    source: str, interactions_path: Path, items_path: Path, text_fields: Sequence[str], output_folder: Path
) -> None:
    """Writes items.parquet (`raw_items`) and interactions.parquet (`interactions`) to `output_folder`.

    An item that is described more than once keeps its first description.

    Args:
        source: a key of `SOURCES`.
        interactions_path: raw file of the actions.
        items_path: raw file of the items; it may be the same.
        text_fields: item fields that make up an item's text, in order.
        output_folder: folder of the two tables.

    Raises:
        ArtifactError: a raw file is missing.
        DataError: a text field is unknown.
        ParseError, ArchiveError: a raw file is damaged or does not follow its format.
    """
    for path in (interactions_path, items_path):
        if not path.is_file():
            raise ArtifactError("A raw file is missing.", where=path, fix="Run the stage that downloads it.")
    readers = SOURCES[source]
    items = _first_descriptions(readers.items(items_path, text_fields), items_path)
    _write(items, "raw_items", output_folder / "items.parquet")
    _write(readers.interactions(interactions_path), "interactions", output_folder / "interactions.parquet")


def _write(frames: Iterable[pl.DataFrame], schema: str, path: Path) -> None:
    with progress(path.stem, None, unit=" rows") as bar:
        rows = write_batches(path, (frame.to_arrow() for frame in _counted(frames, bar.update)), SCHEMAS[schema])
    logger.info("%s: %s rows", path, f"{rows:,}")


def _counted(frames: Iterable[pl.DataFrame], count: Callable[[int], object]) -> Iterator[pl.DataFrame]:
    for frame in frames:
        yield frame
        count(frame.height)


def _first_descriptions(frames: Iterable[pl.DataFrame], where: Path) -> Iterator[pl.DataFrame]:
    seen = pl.Series("item_id", [], pl.String).to_frame()
    repeated = 0
    for frame in frames:
        first = frame.unique("item_id", keep="first", maintain_order=True)
        first = first.join(seen, on="item_id", how="anti", maintain_order="left")
        seen = pl.concat([seen, first.select("item_id")])
        repeated += frame.height - first.height
        yield first
    if repeated:
        logger.warning("%s: left out %s further descriptions of items described before", where, f"{repeated:,}")
