"""An item's title and text, made from its fields and from further tables of texts."""

import html
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from mmsrec.errors import DataError

logger = logging.getLogger(__name__)


class FurtherTexts:
    """Text fields from tables beside a source's own items file, by item id.

    Args:
        tables: by path, a table of strings whose first column is the item id. The first row of an id counts.

    Attributes:
        fields: names of the text fields.

    Raises:
        DataError: two tables have the same field.
    """

    def __init__(self, tables: Iterable[tuple[Path, pl.DataFrame]] = ()) -> None:
        self._tables = [
            (path, table.rename({table.columns[0]: "item_id"}).unique("item_id", keep="first", maintain_order=True))
            for path, table in tables
        ]
        self.fields = [field for _, table in self._tables for field in table.columns if field != "item_id"]
        if repeated := sorted({field for field in self.fields if self.fields.count(field) > 1}):
            raise DataError(
                "Two tables of texts have the same field.",
                where=", ".join(str(path) for path, _ in self._tables),
                expected="a different name for each field",
                found=", ".join(repeated),
                fix="Rename a column, or leave out a table.",
            )

    def join(self, items: pl.DataFrame) -> pl.DataFrame:
        """The items (with the column item_id) and their further fields, null where a table lacks the item."""
        for _, table in self._tables:
            items = items.join(table, on="item_id", how="left", maintain_order="left")
        return items

    def report_unknown(self, item_ids: pl.Series) -> None:
        """Logs how many ids of each table are none of `item_ids`."""
        for path, table in self._tables:
            unknown = table.filter(~pl.col("item_id").is_in(item_ids.implode())).get_column("item_id")
            found = f"{table.height - len(unknown):,} of {len(item_ids):,} items have a row"
            if len(unknown):
                shown = ", ".join(unknown.head(3))
                logger.warning("%s: %s; %s ids are unknown, such as %s", path, found, f"{len(unknown):,}", shown)
            else:
                logger.info("%s: %s", path, found)


NO_TEXTS = FurtherTexts()


def own_fields(
    text_fields: Sequence[str], known: Collection[str], where: object, further: FurtherTexts = NO_TEXTS
) -> list[str]:
    """The text fields that a source must read itself; the further tables hold the others.

    Args:
        text_fields: the fields that the domain's text is made of.
        known: fields that the source has.
        where: the items file, for messages.
        further: further tables of texts.

    Raises:
        DataError: neither the source nor a table has a field, or both have it.
    """
    if both := [field for field in text_fields if field in known and field in further.fields]:
        raise DataError(
            "A further table of texts has a field that the items already have.",
            where=where,
            expected="a different name for each field",
            found=", ".join(both),
            fix="Rename the table's column, and use the new name in the domain's text_fields.",
        )
    if unknown := [field for field in text_fields if field not in known and field not in further.fields]:
        raise DataError(
            "A text field of the domain is unknown.",
            where=where,
            expected=f"fields among {', '.join([*known, *further.fields])}",
            found=", ".join(unknown),
            fix="Correct the domain's text_fields in params.yaml, or add a table to its texts.",
        )
    return [field for field in text_fields if field in known]


def field_text(value: object, joint: str) -> str | None:
    """The text of a field, with HTML entities as characters; None if it is empty.

    Args:
        value: a string, a list whose parts are strings or further lists, or None.
        joint: stands between the strings of a list; a string that repeats is taken once.

    Raises:
        TypeError: the value has another type.
    """
    parts = dict.fromkeys(_strings(value))
    if not parts:
        return None
    text = html.unescape(joint.join(parts))
    # A literal can hold half of a surrogate pair, which UTF-8 cannot encode.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


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


def item_table(frame: pl.DataFrame, text_fields: Sequence[str], further: FurtherTexts = NO_TEXTS) -> pl.DataFrame:
    """Makes the columns item_id, title, text and media_url from item fields; null where a field is empty.

    Runs of whitespace become one space. The text joins the fields as sentences, in the given order.

    Args:
        frame: item_id, title, the source's own text fields, and media_url if the source has it; strings or null.
        text_fields: the fields that make up the text.
        further: further tables of texts.
    """
    if "media_url" not in frame.columns:
        frame = frame.with_columns(media_url=pl.lit(None, pl.String))
    sentences = (_or_null(_folded(field).str.strip_chars_end(". ")) for field in text_fields)
    return further.join(frame).select(
        "item_id",
        _or_null(_folded("title")).alias("title"),
        _or_null(pl.concat_str(*sentences, separator=". ", ignore_nulls=True)).alias("text"),
        _or_null(pl.col("media_url").str.strip_chars()).alias("media_url"),
    )


def _folded(field: str) -> pl.Expr:
    return pl.col(field).str.replace_all(r"\s+", " ").str.strip_chars()


def _or_null(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)
