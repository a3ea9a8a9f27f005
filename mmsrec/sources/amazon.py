"""Amazon's reviews of 2014 (McAuley et al., 2015): ratings as CSV, item metadata as Python literals."""

import ast
import gzip
import html
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mmsrec.errors import ParseError
from mmsrec.sources.lines import read_interactions
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.text import NO_TEXTS, FurtherTexts, item_table, own_fields

# Text fields, each with the string that joins the parts of a list.
TEXT_FIELDS = {"title": " ", "description": " ", "brand": " ", "categories": ", "}

# Python's parser takes about 500 bytes of memory for each byte of hostile input.
_LONGEST_LINE = 1 << 19
_BATCH_BYTES = 8 << 20
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
        texts = (_text(item.get(field), joint) for field, joint in joints.items())
        return item["asin"], _text(item.get("imUrl"), ""), *texts

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
        brand = _text(item.get("brand"), TEXT_FIELDS["brand"])
        names = [name for names in _paths(item.get("categories")) for name in names[drop_first:]]
        found = [("brand", brand), *(("category", _text(name, "")) for name in names)]
        return item["asin"], [f"{field}={name}" for field, name in found if name]

    yield from _rows(path, row, {"item_id": pl.String, "attributes": pl.List(pl.String)})


def _rows(
    path: Path, row: Callable[[dict[str, Any]], tuple[Any, ...]], schema: dict[str, pl.DataType]
) -> Iterator[pl.DataFrame]:
    """The results of `row` for the items of a file, some thousands in a frame; errors of `items`."""
    malformed = Malformed(path, "a Python dictionary with the key 'asin' a line")
    for lines in _batches(path):
        yield pl.DataFrame(_parse(lines, row, malformed), schema, orient="row")
    malformed.close()


def _batches(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines that are not blank, a few megabytes at a time. A line that is too long is cut."""
    batch: list[tuple[int, bytes]] = []
    number = size = 0
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if not line.isspace():
                    batch.append((number, line))
                    size += len(line)
                while line and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST_LINE)
                if size > _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = "A gzip file is truncated." if isinstance(error, EOFError) else "A file is damaged or no gzip file."
        raise ParseError(
            what, where=f"{path}, after line {number}", found=error, fix="Delete it and download it again."
        ) from error
    if batch:
        yield batch


def _parse(
    lines: list[tuple[int, bytes]], row: Callable[[dict[str, Any]], tuple[Any, ...]], malformed: Malformed
) -> list[tuple[Any, ...]]:
    rows = []
    with warnings.catch_warnings():
        # Python warns about every line that holds a stray backslash.
        warnings.simplefilter("ignore")
        for number, line in lines:
            try:
                rows.append(row(_item(line)))
            except _REFUSED:
                malformed.add(f"line {number}")
    malformed.rows += len(rows)
    return rows


def _item(line: bytes) -> dict[str, Any]:
    if len(line) == _LONGEST_LINE:
        raise ValueError("the line is too long")
    item = ast.literal_eval(_RELATED.sub("'related': None", line.decode("utf-8").strip()))
    if not isinstance(item, dict):
        raise TypeError(f"expected a dictionary, found {type(item).__name__}")
    asin = item.get("asin")
    if not (isinstance(asin, str) and asin and asin.isascii()):
        raise ValueError("it has no asin")
    return item


def _text(value: object, joint: str) -> str | None:
    parts = dict.fromkeys(_strings(value))
    if not parts:
        return None
    text = html.unescape(joint.join(parts))
    # A literal can hold half of a surrogate pair, which UTF-8 cannot encode.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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


def _strings(value: object) -> Iterator[str]:
    """The strings of a field in order; a list may hold further lists."""
    match value:
        case None:
            return
        case str():
            yield value
        case list() | tuple():
            for part in value:
                yield from _strings(part)
        case _:
            raise TypeError(f"expected text, found {type(value).__name__}")
