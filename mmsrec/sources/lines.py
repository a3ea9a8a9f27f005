"""Text files with one row on each line, a fixed separator and no quoting: Amazon's ratings, MovieLens' .dat files."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import BinaryIO

import polars as pl

from mmsrec.errors import ParseError
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.times import LATEST, reason

_BLOCK_BYTES = 4 << 20
# A carriage return, the mark of a byte that could not be decoded, and the mark at the start of a file.
_IRREGULAR = (b"\r", "\ufffd".encode(), BOM_UTF8)


def read_interactions(file: BinaryIO, where: object, separator: str, encoding: str) -> Iterator[pl.DataFrame]:
    """Reads rows of user, item, rating and Unix time in seconds.

    Yields:
        Frames of user, item and timestamp, in the order of the file.

    Raises:
        ParseError: more than 1 % of the rows are malformed.
    """
    malformed = Malformed(where, separator.join(["USER", "ITEM", "RATING", "UNIX_TIME"]))
    time = pl.col("timestamp").cast(pl.Int64, strict=False)
    good = (pl.col("user") != "") & (pl.col("item") != "") & time.is_between(-LATEST, LATEST, closed="none")
    line = pl.format("line {}", "line")
    label = pl.when(time.abs() >= LATEST).then(pl.format("{} ({})", line, reason())).otherwise(line)
    for frame in read_rows(file, where, separator, encoding, ("user", "item", "rating", "timestamp")):
        kept = malformed.keep(frame, good, label)
        yield kept.select("user", "item", time)
    malformed.close()


def read_rows(
    file: BinaryIO, where: object, separator: str, encoding: str, columns: tuple[str, ...]
) -> Iterator[pl.DataFrame]:
    """Splits lines into `columns` of type string. Blank lines are skipped.

    Yields:
        Frames of `line` (the line number, from 1) and `columns`. All columns are null if a line has a wrong number of
        fields or bytes that its encoding cannot decode.

    Raises:
        ParseError: a line is longer than 4 MiB.
    """
    first = 1
    for block in _blocks(file, where):
        if first == 1:
            # An editor may begin a file that it saves in UTF-8 with this mark, which is no part of the first id.
            block = block.removeprefix(BOM_UTF8)
        rows = _regular(block, first, separator, encoding, columns)
        yield _split(block, first, separator, encoding, columns) if rows is None else rows
        first += block.count(b"\n") + 1


def _regular(block: bytes, first: int, separator: str, encoding: str, columns: tuple[str, ...]) -> pl.DataFrame | None:
    """The rows of a block that needs none of the care of `_split`, in a quarter of its time; else None."""
    if len(separator) > 1 or encoding != "utf-8" or any(mark in block for mark in _IRREGULAR):
        return None
    try:
        rows = pl.read_csv(
            block,
            has_header=False,
            schema=dict.fromkeys(columns, pl.String),
            separator=separator,
            quote_char=None,
            empty_string_is_null=False,
            extra_columns="raise",
            row_index_name="line",
            row_index_offset=first,
        )
    except pl.exceptions.PolarsError:
        return None
    # polars reads blank lines and rows with too few fields as rows whose last fields are empty.
    return rows if (rows.get_column(columns[-1]) != "").all() else None


def _split(block: bytes, first: int, separator: str, encoding: str, columns: tuple[str, ...]) -> pl.DataFrame:
    text = pl.col("text")
    fields = text.str.splitn(separator, len(columns) + 1).struct.rename_fields([*columns, "surplus"])
    enough, surplus = pl.col(columns[-1]).is_not_null(), pl.col("surplus").is_not_null()
    well_formed = enough & ~surplus & ~text.str.contains("\ufffd", literal=True)
    lines = pl.select(text=pl.lit(block.decode(encoding, errors="replace")).str.split("\n")).explode("text")
    return (
        lines.with_row_index("line", first)
        .with_columns(text.str.strip_chars_end("\r"))
        .filter(text != "")
        .with_columns(fields.alias("fields"))
        .unnest("fields")
        .select("line", *(pl.when(well_formed).then(pl.col(name)).alias(name) for name in columns))
    )


def _blocks(file: BinaryIO, where: object) -> Iterator[bytes]:
    """Yields the file in blocks of whole lines. A block does not end with a line break."""
    rest = b""
    while chunk := file.read(_BLOCK_BYTES):
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield rest + head
            rest = tail
        else:
            rest += tail
        if len(rest) > _BLOCK_BYTES:
            raise ParseError("A line is too long.", where=where, expected=f"at most {_BLOCK_BYTES:,} bytes")
    if rest:
        yield rest
