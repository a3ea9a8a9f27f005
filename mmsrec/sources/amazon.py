"""Amazon's reviews of 2014 (McAuley et al., 2015): ratings as CSV, item metadata as Python literals."""

import ast
import gzip
import html
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from mmsrec.errors import ParseError
from mmsrec.sources.lines import read_interactions
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.text import check_text_fields, item_table

# Text fields, and what joins the parts of one that is a list.
TEXT_FIELDS = {"title": " ", "description": " ", "brand": " ", "categories": ", "}

# Python's parser takes some 500 bytes for a byte of hostile input.
_LONGEST_LINE = 1 << 19
_BATCH_BYTES = 8 << 20
# Lists of other items' ids: never used, and where they are long they take most of the time of parsing.
_RELATED = re.compile(r"'related': \{(?:'\w+': \[(?:'\w+'(?:, )?)*\](?:, )?)*\}", re.ASCII)
# The documented ways in which ast.literal_eval refuses its input.
_REFUSED = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


def interactions(path: Path) -> Iterator[pl.DataFrame]:
    """Reads ratings_CATEGORY.csv: user, item, rating and unix time, no header.

    Raises:
        ParseError: more than 1 % of the rows are malformed.
    """
    with Path(path).open("rb") as file:
        yield from read_interactions(file, path, separator=",", encoding="utf-8")


def items(path: Path, text_fields: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Reads meta_CATEGORY.json.gz: one Python dictionary a line, of which any key but asin may be missing.

    HTML entities are replaced by their characters.

    Raises:
        DataError: a text field is not one of `TEXT_FIELDS`.
        ParseError: the file is truncated or no gzip file, or more than 1 % of its lines are malformed.
    """
    check_text_fields(text_fields, TEXT_FIELDS, path)
    wanted = {field: TEXT_FIELDS[field] for field in dict.fromkeys(["title", *text_fields])}
    malformed = Malformed(path, "a Python dictionary with the key 'asin' a line")
    schema = dict.fromkeys(["item_id", "media_url", *wanted], pl.String)
    for lines in _batches(path):
        rows = _parse(lines, wanted, malformed)
        yield item_table(pl.DataFrame(rows, schema, orient="row"), text_fields)
    malformed.close()


def _batches(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines that are not blank, some megabytes at a time; of a line that is too long, the beginning."""
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
    lines: list[tuple[int, bytes]], wanted: dict[str, str], malformed: Malformed
) -> list[tuple[str | None, ...]]:
    rows = []
    with warnings.catch_warnings():
        # A stray backslash in a description makes Python warn once a line.
        warnings.simplefilter("ignore")
        for number, line in lines:
            try:
                rows.append(_row(line, wanted))
            except _REFUSED:
                malformed.add(f"line {number}")
    malformed.rows += len(rows)
    return rows


def _row(line: bytes, wanted: dict[str, str]) -> tuple[str | None, ...]:
    if len(line) == _LONGEST_LINE:
        raise ValueError("the line is too long")
    item = ast.literal_eval(_RELATED.sub("'related': None", line.decode("utf-8").strip()))
    if not isinstance(item, dict):
        raise TypeError(f"expected a dictionary, found {type(item).__name__}")
    asin = item.get("asin")
    if not (isinstance(asin, str) and asin and asin.isascii()):
        raise ValueError("it has no asin")
    texts = (_text(item.get(field), joint) for field, joint in wanted.items())
    return asin, _text(item.get("imUrl"), ""), *texts


def _text(value: object, joint: str) -> str | None:
    parts = dict.fromkeys(_strings(value))
    if not parts:
        return None
    text = html.unescape(joint.join(parts))
    # A literal can spell half of a surrogate pair, which no file can hold.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _strings(value: object) -> Iterator[str]:
    """The strings of a field: none, one, or those of a list of lists, in order."""
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
