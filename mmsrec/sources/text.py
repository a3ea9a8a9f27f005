"""An item's fields to its title and its text."""

from collections.abc import Collection, Sequence

import polars as pl

from mmsrec.errors import DataError


def check_text_fields(wanted: Sequence[str], known: Collection[str], where: object) -> None:
    """Checks that a source has the fields that a domain's text is made of.

    Raises:
        DataError: with the fields that the source knows.
    """
    if unknown := [field for field in wanted if field not in known]:
        raise DataError(
            "A domain names a text field that its items do not have.",
            where=where,
            expected=f"fields among {', '.join(known)}",
            found=", ".join(unknown),
            fix="Correct the domain's text_fields in params.yaml.",
        )


def item_table(frame: pl.DataFrame, text_fields: Sequence[str]) -> pl.DataFrame:
    """Item fields as the columns item_id, title, text and media_url; null where there is nothing.

    Whitespace is folded. The text is the fields in the order given, joined as sentences.

    Args:
        frame: item_id, title, the text fields, and media_url if the source has one; all strings or null.
        text_fields: the fields that make up the text.
    """
    if "media_url" not in frame.columns:
        frame = frame.with_columns(media_url=pl.lit(None, pl.String))
    sentences = (_or_null(_folded(field).str.strip_chars_end(". ")) for field in text_fields)
    return frame.select(
        "item_id",
        _or_null(_folded("title")).alias("title"),
        _or_null(pl.concat_str(*sentences, separator=". ", ignore_nulls=True)).alias("text"),
        _or_null(pl.col("media_url").str.strip_chars()).alias("media_url"),
    )


def _folded(field: str) -> pl.Expr:
    return pl.col(field).str.replace_all(r"\s+", " ").str.strip_chars()


def _or_null(text: pl.Expr) -> pl.Expr:
    return pl.when(text != "").then(text)
