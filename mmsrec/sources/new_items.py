"""Reads the items of a catalogue, which arrived after a training, from a raw table in the format of their domain."""

import logging
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import DataError
from mmsrec.sources import tables
from mmsrec.sources.ingest import SOURCES, check_raw_files, first_descriptions

logger = logging.getLogger(__name__)


def ingest_items(
    source: str,
    items_path: Path,
    text_fields: Sequence[str],
    known_path: Path,
    output: Path,
    texts_paths: Sequence[Path] = (),
) -> None:
    """Writes the items of a raw table that a k-core lacks, with the schema `items`, sorted by item_id.

    The raw table may be a shop's whole table of items, because the items of the k-core are left out. The first
    description of an item counts.

    Args:
        source: a key of `SOURCES`, the format of the domain.
        items_path: raw file of the items.
        text_fields: the domain's fields that make up an item's text.
        known_path: items.parquet of the domain's lowest k-core.
        output: the table to write.
        texts_paths: the domain's further tables of texts, which may have the new items, too.

    Raises:
        ArtifactError: a raw file or the table of the k-core is missing or damaged.
        DataError: no item is new, a text field is unknown, or two files have it.
        ParseError, ArchiveError: a raw file is damaged or does not follow its format.
    """
    check_raw_files(items_path, *texts_paths)
    known = pl.from_arrow(read_table(known_path, SCHEMAS["items"]).select(["item_id"]))
    further = tables.further_texts(texts_paths)
    read, new = 0, []
    for frame in first_descriptions(SOURCES[source].items(items_path, text_fields, further), items_path):
        read += frame.height
        new.append(frame.join(known, on="item_id", how="anti", maintain_order="left"))
    items = pl.concat(new).sort("item_id").with_row_index("item_index")
    found = f"{read - items.height:,} items are in the k-core already, {items.height:,} are new"
    if items.is_empty():
        raise DataError(
            "A catalogue has no new item.",
            where=items_path,
            expected=f"an item_id that {known_path} does not have",
            found=found,
            fix="Name a table with the new items, or remove the catalogue's row from params.yaml.",
        )
    write_table(output, items.to_arrow(), SCHEMAS["items"])
    logger.info("%s: %s", items_path, found)
    texts, places = (items.height - items.get_column(name).null_count() for name in ("text", "media_url"))
    logger.info("%s: %s of the new items have a text, %s a media_url", output, f"{texts:,}", f"{places:,}")
