"""The times of interactions: seconds since 1970, ISO 8601 dates, and what a time that cannot be read looks like."""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl

from mmsrec.errors import ParseError

logger = logging.getLogger(__name__)

# Seconds after the year 5000; a larger number is a time in milliseconds.
LATEST = 10**11
DAY = 86_400

_ISO = r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?)? ?(Z|[+-]\d\d:?\d\d)?$"


def seconds(where: object, kind: pl.DataType) -> pl.Expr:
    """The column `seconds`, made from `timestamp`: seconds since 1970, null for a time that cannot be read.

    Raises:
        ParseError: the type of `timestamp` holds no times, or not to the second.
    """
    own = pl.col("timestamp")
    number = own.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
    match kind:
        case pl.Float32() | pl.Float16():
            raise ParseError(
                "A timestamp column rounds its times.",
                where=where,
                expected="whole numbers, 64-bit floats, dates or ISO 8601 texts",
                found=f"type {kind}, whose neighbouring numbers are minutes apart",
                fix="Save the times again as whole numbers, from where they are exact.",
            )
        case pl.Date() | pl.Datetime():
            found = own.dt.epoch("s")
        case pl.String():
            found = pl.coalesce(number, _iso_seconds(own))
        case _ if kind.is_numeric():
            found = number
        case _:
            raise ParseError(
                "A timestamp column holds no times.",
                where=where,
                expected="numbers, dates or ISO 8601 texts",
                found=f"type {kind}",
            )
    return found.alias("seconds")


def _iso_seconds(text: pl.Expr) -> pl.Expr:
    date, minutes, rest, zone = (text.str.strip_chars().str.extract(_ISO, group) for group in range(1, 5))
    whole = pl.concat_str(
        date,
        pl.lit(" "),
        minutes.fill_null("00:00"),
        rest.fill_null(":00"),
        zone.replace("Z", "+00:00").fill_null("+00:00"),
    )
    return whole.str.to_datetime("%Y-%m-%d %H:%M:%S%z", strict=False).dt.epoch("s")


def reason(column: str = "timestamp") -> pl.Expr:
    """The fault of a time that is not between 0 and `LATEST`, in words."""
    text = pl.col(column).cast(pl.String).fill_null("").str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    return (
        pl.when(text == "")
        .then(pl.lit("no time"))
        .when(number >= LATEST)
        .then(pl.lit("a time in milliseconds or smaller parts: divide it to seconds"))
        .when(number < 0)
        .then(pl.lit("a time before 1970"))
        .when(text.str.contains(r"^\d{1,3}([,.' ]\d{3})+$"))
        .then(pl.lit("a number with thousands separators"))
        .when(text.str.contains(r"^\d+,\d+$"))
        .then(pl.lit("a number with a decimal comma"))
        .otherwise(pl.lit("no time that can be read"))
    )


def watch_future(frames: Iterator[pl.DataFrame], where: object) -> Iterator[pl.DataFrame]:
    """Yields interactions, then logs how many are more than a day after now. They stay, because clocks differ."""
    latest, late = int(time.time()) + DAY, 0
    for frame in frames:
        late += frame.select((pl.col("timestamp") > latest).sum()).item()
        yield frame
    if late:
        day = datetime.fromtimestamp(latest, UTC).strftime("%Y-%m-%d %H:%M")
        logger.warning("%s: %s interactions are in the future, after %s UTC; they are kept", where, f"{late:,}", day)
