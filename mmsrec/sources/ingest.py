"""Turns the raw files of a source into the two tables that all later stages read."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mmsrec.artifacts import SCHEMAS, write_batches
from mmsrec.errors import ArtifactError
from mmsrec.progress import progress
from mmsrec.sources import amazon, amazon_2018, movielens, tables
from mmsrec.sources.ids import DistinctIds, check_described
from mmsrec.sources.text import NO_TEXTS, FurtherTexts
from mmsrec.sources.times import watch_future

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The readers of a format.

    Attributes:
        interactions: yields frames of user, item, timestamp in the order of the file.
        items: yields frames of item_id, title, text, media_url; takes the file, the fields that make up the text and
            the further tables of texts.
        attributes: yields frames of item_id and attributes (a list of `FIELD=NAME`). It takes the file of the items,
            and whether the first category of each path is left out. None: the format has no attributes.
    """

    interactions: Callable[[Path], Iterator[pl.DataFrame]]
    items: Callable[[Path, Sequence[str], FurtherTexts], Iterator[pl.DataFrame]]
    attributes: Callable[[Path, bool], Iterator[pl.DataFrame]] | None = None


# The formats that a domain's `source` can name.
SOURCES = {
    "amazon": Source(amazon.interactions, amazon.items, amazon.attributes),
    "amazon-2018": Source(amazon_2018.interactions, amazon_2018.items, amazon_2018.attributes),
    "movielens": Source(movielens.interactions, movielens.items, movielens.attributes),
    "table": Source(tables.interactions, tables.items, tables.attributes),
}


def ingest(
    source: str,
    interactions_path: Path,
    items_path: Path,
    text_fields: Sequence[str],
    output_folder: Path,
    texts_paths: Sequence[Path] = (),
) -> None:
    """Writes items.parquet (`raw_items`) and interactions.parquet (`interactions`) to `output_folder`.

    The first description of an item counts; later descriptions are left out and counted.

    Args:
        source: a key of `SOURCES`.
        interactions_path: raw file of the actions.
        items_path: raw file of the items; it may be the same file.
        text_fields: fields that make up an item's text, in order.
        output_folder: folder of the two tables.
        texts_paths: further tables of texts, as `tables.further_texts` reads them; their columns are text fields too.

    Raises:
        ArtifactError: a raw file is missing.
        DataError: a text field is unknown, two files have it, or no item of the interactions is described.
        ParseError, ArchiveError: a raw file is damaged or does not follow its format.
    """
    check_raw_files(interactions_path, items_path, *texts_paths)
    readers = SOURCES[source]
    further = tables.further_texts(texts_paths)
    items = first_descriptions(readers.items(items_path, text_fields, further), items_path, further)
    _write(items, "raw_items", output_folder / "items.parquet")
    actions = _described(
        watch_future(readers.interactions(interactions_path), interactions_path),
        output_folder / "items.parquet",
        interactions_path,
        items_path,
    )
    _write(actions, "interactions", output_folder / "interactions.parquet")


def check_raw_files(*paths: Path) -> None:
    """Checks that raw files exist.

    Raises:
        ArtifactError: a file is missing.
    """
    for path in paths:
        if not path.is_file():
            raise ArtifactError("A raw file is missing.", where=path, fix="Run the stage that downloads it.")


def _write(frames: Iterable[pl.DataFrame], schema: str, path: Path) -> None:
    with progress(path.stem, None, unit=" rows") as bar:
        rows = write_batches(path, (frame.to_arrow() for frame in _counted(frames, bar.update)), SCHEMAS[schema])
    logger.info("%s: %s rows", path, f"{rows:,}")


def _counted(frames: Iterable[pl.DataFrame], count: Callable[[int], object]) -> Iterator[pl.DataFrame]:
    for frame in frames:
        yield frame
        count(frame.height)


def _described(
    frames: Iterable[pl.DataFrame], items: Path, interactions_path: Path, items_path: Path
) -> Iterator[pl.DataFrame]:
    """Yields interactions, then compares their items with the table of items; errors of `check_described`."""
    acted = DistinctIds()
    for frame in frames:
        acted.add(frame.get_column("item"))
        yield frame
    described = pl.read_parquet(items, columns=["item_id"]).get_column("item_id")
    check_described(acted.all(), described, interactions_path, items_path)


def first_descriptions(
    frames: Iterable[pl.DataFrame], where: Path, further: FurtherTexts = NO_TEXTS
) -> Iterator[pl.DataFrame]:
    """Yields the first row of each item_id, then logs the further rows, and the ids of further texts without an item.

    Args:
        frames: frames with the column item_id.
        where: the file of the items, for messages.
        further: tables of texts that should have the same items.
    """
    # A set: a join with all items so far, for each frame, would take a time that grows with their square.
    seen: set[str] = set()
    repeated = 0
    for frame in frames:
        first = frame.unique("item_id", keep="first", maintain_order=True)
        is_new = [item not in seen for item in first.get_column("item_id").to_list()]
        first = first.filter(pl.Series(is_new, dtype=pl.Boolean))
        seen.update(first.get_column("item_id").to_list())
        repeated += frame.height - first.height
        yield first
    if repeated:
        logger.warning("%s: left out %s further descriptions of the same items", where, f"{repeated:,}")
    further.report_unknown(pl.Series("item_id", list(seen), pl.String))
