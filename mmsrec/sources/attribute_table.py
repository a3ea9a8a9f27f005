"""Attributes of items, such as brands, categories and genres, as the table that models of attributes read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, DataError
from mmsrec.settings.data import AttributeRules
from mmsrec.sources.ingest import SOURCES


@dataclass(frozen=True)
class Counts:
    """The numbers of a table of attributes: items, distinct attributes, and attributes of all items together."""

    items: int
    attributes: int
    values: int


def write_attributes(source: str, raw_items: Path, core_items: Path, rules: AttributeRules, output: Path) -> Counts:
    """Writes attributes.parquet of a k-core: one row an item, in the order of items.parquet.

    The first description of an item counts, as in the table of items. White space is folded. An item has each attribute
    once. An attribute that fewer than `min_items` items of the k-core have is left out.

    Args:
        source: a key of `ingest.SOURCES`.
        raw_items: the raw file of the items.
        core_items: items.parquet of the k-core.
        rules: the rules of the domain.
        output: the file to write.

    Raises:
        ArtifactError: a file is missing.
        DataError: the source has no attributes, or none is left.
        ParseError, ArchiveError: the raw file is damaged or does not follow its format.
    """
    reader = SOURCES[source].attributes
    if reader is None:
        raise _none_left(raw_items, f"the source {source} has no attributes")
    if not raw_items.is_file():
        raise ArtifactError("A raw file is missing.", where=raw_items, fix="Run the stage that downloads it.")
    items = pl.from_arrow(read_table(core_items, SCHEMAS["items"])).select("item_id")
    described = _described(reader(raw_items, rules.drop_first), items)
    pairs = _frequent(_pairs(described), rules.min_items)
    if pairs.is_empty():
        raise _none_left(raw_items, f"no attribute of {rules.min_items} or more of the {items.height:,} items")
    lists = pairs.group_by("item_id", maintain_order=True).agg(attributes="attribute")
    table = items.join(lists, on="item_id", how="left", maintain_order="left").with_columns(
        pl.col("attributes").fill_null([])
    )
    write_table(output, table.to_arrow(), SCHEMAS["attributes"])
    return Counts(items.height, pairs["attribute"].n_unique(), pairs.height)


def _described(frames: Iterable[pl.DataFrame], items: pl.DataFrame) -> pl.DataFrame:
    """The first description of each item of the k-core."""
    kept = [frame.join(items, on="item_id", how="semi", maintain_order="left") for frame in frames]
    return pl.concat(kept).unique("item_id", keep="first", maintain_order=True)


def _pairs(described: pl.DataFrame) -> pl.DataFrame:
    """Each item with each of its attributes once; a name may hold any character."""
    parts = pl.col("attributes").str.splitn("=", 2).struct.rename_fields(["field", "name"])
    folded = (
        described.explode("attributes")
        .select("item_id", parts)
        .unnest("attributes")
        .with_columns(pl.col("field", "name").str.replace_all(r"\s+", " ").str.strip_chars())
    )
    return (
        folded.filter(pl.col("name") != "")
        .select("item_id", attribute=pl.concat_str("field", "name", separator="="))
        .unique(maintain_order=True)
    )


def _frequent(pairs: pl.DataFrame, min_items: int) -> pl.DataFrame:
    return pairs.filter(pl.len().over("attribute") >= min_items)


def _none_left(where: Path, found: str) -> DataError:
    return DataError(
        "The items of a domain have no attributes.",
        where=where,
        expected="items with brands, categories or genres",
        found=found,
        fix="Use a raw file that has them, or a domain of source: table with the column attributes; "
        "or lower attributes.min_items of the domain.",
    )
