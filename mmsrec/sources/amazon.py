"""Amazon's reviews of 2014 (McAuley et al., 2015): ratings as CSV, item metadata as Python literals."""

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mmsrec.sources.gzip_lines import batches, parsed
from mmsrec.sources.lines import read_interactions
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.text import NO_TEXTS, FurtherTexts, field_text, item_table, own_fields

# Text fields, each with the string that joins the parts of a list.
TEXT_FIELDS = {"title": " ", "description": " ", "brand": " ", "categories": ", "}

# Lists of other items' ids: unused, but long lists take most of the parsing time.
_RELATED = re.compile(r"'related': \{(?:'\w+': \[(?:'\w+'(?:, )?)*\](?:, )?)*\}", re.ASCII)
# The errors that ast.literal_eval is documented to raise.
_REFUSED = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def interactions(path: Path) -> Iterator[pl.DataFrame]:
    """Reads ratings_CATEGORY.csv: user, item, rating and unix time, no header.

    Raises:
        ParseError: more than 1 % of the rows are malformed.
    """
    with Path(path).open("rb") as file:
        yield from read_interactions(file, path, separator=",", encoding="utf-8")


def items(path: Path, text_fields: Sequence[str], further: FurtherTexts = NO_TEXTS) -> Iterator[pl.DataFrame]:
    """Reads meta_CATEGORY.json.gz: one Python dictionary a line; any key but asin may be missing.

    HTML entities are replaced by their characters.

    Raises:
        DataError: a text field is in neither `TEXT_FIELDS` nor the further tables.
        ParseError: the file is truncated or no gzip file, or more than 1 % of its lines are malformed.
    """
    own = own_fields(text_fields, TEXT_FIELDS, path, further)
    joints = {field: TEXT_FIELDS[field] for field in dict.fromkeys(["title", *own])}
    schema = dict.fromkeys(["item_id", "media_url", *joints], pl.String)

    def row(item: dict[str, Any]) -> tuple[str | None, ...]:
        texts = (field_text(item.get(field), joint) for field, joint in joints.items())
        return item["asin"], field_text(item.get("imUrl"), ""), *texts

    for frame in _rows(path, row, schema):
        yield item_table(frame, text_fields, further)


def attributes(path: Path, drop_first: bool = False) -> Iterator[pl.DataFrame]:
    """Reads item_id and attributes of the same file: `brand=NAME`, then `category=NAME` for each part of each path.

    A path is a list of categories from the most general one on. One list without lists in it is one path.

    Args:
        path: the metadata file.
        drop_first: leaves out the first category of each path.

    Raises:
        ParseError: as in `items`; a line whose categories are no paths is malformed.
    """

    def row(item: dict[str, Any]) -> tuple[str, list[str]]:
        brand = field_text(item.get("brand"), TEXT_FIELDS["brand"])
        names = [name for names in _paths(item.get("categories")) for name in names[drop_first:]]
        found = [("brand", brand), *(("category", field_text(name, "")) for name in names)]
        return item["asin"], [f"{field}={name}" for field, name in found if name]

    yield from _rows(path, row, {"item_id": pl.String, "attributes": pl.List(pl.String)})


def _rows(
    path: Path, row: Callable[[dict[str, Any]], tuple[Any, ...]], schema: dict[str, pl.DataType]
) -> Iterator[pl.DataFrame]:
    """The results of `row` for the items of a file, some thousands in a frame; errors of `items`."""
    malformed = Malformed(path, "a Python dictionary with the key 'asin' a line")
    for lines in batches(path):
        with warnings.catch_warnings():
            # Python warns about every line that holds a stray backslash.
            warnings.simplefilter("ignore")
            rows = parsed(lines, lambda line: row(_item(line)), _REFUSED, malformed)
        yield pl.DataFrame(rows, schema, orient="row")
    malformed.close()


def _item(line: bytes) -> dict[str, Any]:
    item = ast.literal_eval(_RELATED.sub("'related': None", line.decode("utf-8").strip()))
    if not isinstance(item, dict):
        raise TypeError(f"expected a dictionary, found {type(item).__name__}")
    asin = item.get("asin")
    if not (isinstance(asin, str) and asin and asin.isascii()):
        raise ValueError("it has no asin")
    return item


def _paths(value: object) -> list[list[str]]:
    """The paths of a field with categories."""
    match value:
        case None:
            return []
        case list() | tuple() if any(isinstance(part, list | tuple) for part in value):
            paths = list(value)
        case _:
            paths = [value]
    for path in paths:
        if not isinstance(path, list | tuple) or not all(isinstance(name, str) for name in path):
            raise TypeError("expected lists of categories")
    return paths
