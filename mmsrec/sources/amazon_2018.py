"""Amazon's reviews of 2018 (Ni et al., 2019): reviews and item metadata, with one JSON object a line, in gzip files."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mmsrec.sources.gzip_lines import batches, parsed
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.text import NO_TEXTS, FurtherTexts, field_text, item_table, own_fields

logger = logging.getLogger(__name__)

# Text fields, each with the string that joins the parts of a list.
TEXT_FIELDS = {"title": " ", "description": " ", "brand": " ", "category": ", "}

_ACTIONS = {"user": pl.String, "item": pl.String, "timestamp": pl.Int64}
# The errors of the JSON parser and of the checks below.
_REFUSED = (ValueError, TypeError, RecursionError)
_LATEST = 2**40
# The crawl of 2018 took the script of some product pages for their title.
_SCRIPT = "getTime"


def interactions(path: Path) -> Iterator[pl.DataFrame]:
    """Reads CATEGORY_5.json.gz: the keys reviewerID, asin and unixReviewTime (seconds) of each review.

    The file repeats reviews. A row that equals an earlier one in all three is left out, and the log counts these rows.

    Yields:
        One frame of user, item and timestamp, in the order of the file.

    Raises:
        ParseError: the file is truncated or no gzip file, or more than 1 % of its lines are malformed.
    """
    malformed = Malformed(path, "a JSON object with the keys reviewerID, asin and unixReviewTime a line")
    frames = [
        pl.DataFrame(parsed(lines, _action, _REFUSED, malformed), _ACTIONS, orient="row") for lines in batches(path)
    ]
    malformed.close()
    found = pl.concat(frames)
    actions = found.unique(maintain_order=True)
    if repeated := found.height - actions.height:
        logger.warning("%s: left out %s repeated reviews", path, f"{repeated:,}")
    yield actions


def items(path: Path, text_fields: Sequence[str], further: FurtherTexts = NO_TEXTS) -> Iterator[pl.DataFrame]:
    """Reads meta_CATEGORY.json.gz: one JSON object a line; any key but asin may be missing or empty.

    HTML entities are replaced by their characters. A title that is a page's script counts as no title. The picture is
    the first of imageURLHighRes.

    Raises:
        DataError: a text field is in neither `TEXT_FIELDS` nor the further tables.
        ParseError: the file is truncated or no gzip file, or more than 1 % of its lines are malformed.
    """
    own = own_fields(text_fields, TEXT_FIELDS, path, further)
    joints = {field: TEXT_FIELDS[field] for field in dict.fromkeys(["title", *own])}
    script = pl.col("title").str.contains(_SCRIPT, literal=True)

    def row(item: dict[str, Any]) -> tuple[str | None, ...]:
        texts = (field_text(item.get(field), joint) for field, joint in joints.items())
        return _id(item, "asin"), _picture(item.get("imageURLHighRes")), *texts

    for frame in _items(path, row, dict.fromkeys(["item_id", "media_url", *joints], pl.String)):
        yield item_table(frame.with_columns(title=pl.when(~script).then("title")), text_fields, further)


def attributes(path: Path, drop_first: bool = False) -> Iterator[pl.DataFrame]:
    """Reads item_id and attributes of the same file: `brand=NAME`, then `category=NAME` for each part of its one path.

    Args:
        path: the metadata file.
        drop_first: leaves out the first category, which names the shop's department.

    Raises:
        ParseError: as in `items`.
    """

    def row(item: dict[str, Any]) -> tuple[str, list[str]]:
        names = item.get("category") or []
        if not isinstance(names, list):
            raise TypeError("expected a list of categories")
        found = [("brand", item.get("brand")), *(("category", name) for name in names[drop_first:])]
        named = [(field, field_text(name, " ")) for field, name in found]
        return _id(item, "asin"), [f"{field}={name}" for field, name in named if name]

    yield from _items(path, row, {"item_id": pl.String, "attributes": pl.List(pl.String)})


def _items(
    path: Path, row: Callable[[dict[str, Any]], tuple[Any, ...]], schema: dict[str, pl.DataType]
) -> Iterator[pl.DataFrame]:
    """The results of `row` for the items of a file, some thousands in a frame; errors of `items`."""
    malformed = Malformed(path, "a JSON object with the key 'asin' a line")
    for lines in batches(path):
        yield pl.DataFrame(parsed(lines, lambda line: row(_object(line)), _REFUSED, malformed), schema, orient="row")
    malformed.close()


def _action(line: bytes) -> tuple[str, str, int]:
    review = _object(line)
    time = review.get("unixReviewTime")
    if type(time) is not int or not -_LATEST < time < _LATEST:
        raise ValueError("it has no time")
    return _id(review, "reviewerID"), _id(review, "asin"), time


def _object(line: bytes) -> dict[str, Any]:
    value = json.loads(line.decode("utf-8"))
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value


def _id(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not (isinstance(value, str) and value and value.isascii()):
        raise ValueError(f"it has no {key}")
    return value


def _picture(urls: object) -> str | None:
    match urls:
        case None | []:
            return None
        case [str(url), *_] | str(url):
            return field_text(url, "")
        case _:
            raise TypeError(f"expected a list of URLs, found {type(urls).__name__}")
