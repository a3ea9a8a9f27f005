"""A user's own data: interactions, items and further texts as CSV, TSV (both UTF-8, with a header) or Parquet.

Interactions have the columns user, item and timestamp: seconds since 1970, or an ISO 8601 date and time. A time without
a zone is in UTC. Items have item_id and title, optionally media_url and attributes, and any further text columns.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from mmsrec.errors import ParseError
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.text import NO_TEXTS, FurtherTexts, item_table, own_fields

_BLOCK_BYTES = 8 << 20
_BATCH_ROWS = 1 << 17
# Seconds after the year 5000; a larger number is a time in milliseconds.
_LATEST = 10**11
_ATTRIBUTE = r"^[^=]*[^=\s][^=]*="
_ISO = r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?)? ?(Z|[+-]\d\d:?\d\d)?$"


def interactions(path: Path) -> Iterator[pl.DataFrame]:
    """Reads user, item and timestamp.

    Raises:
        ParseError: the file is no such table, or more than 1 % of its rows are malformed.
    """
    malformed = Malformed(path, "user,item,timestamp (seconds since 1970, or an ISO 8601 date)")
    good = (pl.col("user") != "") & (pl.col("item") != "") & pl.col("seconds").is_between(0, _LATEST, closed="left")
    shown = pl.concat_str(pl.col("user", "item", "timestamp").cast(pl.String).fill_null(""), separator=",")
    with _refusals(path):
        for frame in _read(path, ("user", "item", "timestamp"), malformed):
            timed = frame.with_columns(_text("user"), _text("item"), _seconds(path, frame.schema["timestamp"]))
            yield malformed.keep(timed, good, pl.format("'{}'", shown)).select("user", "item", timestamp="seconds")
        malformed.close()


def items(path: Path, text_fields: Sequence[str], further: FurtherTexts = NO_TEXTS) -> Iterator[pl.DataFrame]:
    """Reads item_id, title, media_url if the table has it, and the text fields.

    Raises:
        DataError: a text field is a column of neither this nor a further table.
        ParseError: the file is no such table, or more than 1 % of its rows are malformed.
    """
    with _refusals(path):
        known = _format(path).columns(path)
        own = own_fields(text_fields, [name for name in known if name not in ("item_id", "media_url")], path, further)
        optional = ("media_url",) if "media_url" in known else ()
        columns = tuple(dict.fromkeys(("item_id", "title", *optional, *own)))
        malformed = Malformed(path, ",".join(columns))
        for frame in _read(path, columns, malformed):
            strings = frame.select(_text(name, kind) for name, kind in frame.schema.items())
            kept = malformed.keep(strings, pl.col("item_id") != "", pl.lit("an empty item_id"))
            yield item_table(kept, text_fields, further)
        malformed.close()


def attributes(path: Path, drop_first: bool = False) -> Iterator[pl.DataFrame]:
    """Reads item_id and the column attributes: `FIELD=NAME` with `|` between, or a list of such texts in Parquet.

    `drop_first` changes nothing, because a table has no paths of categories.

    Raises:
        ParseError: the file is no such table, lacks the column, or more than 1 % of its rows are malformed.
    """
    malformed = Malformed(path, "an item_id, and attributes such as brand=COKA|category=Makeup")
    parts = pl.col("attributes").fill_null([])
    good = (pl.col("item_id") != "") & parts.list.eval(pl.element().str.contains(_ATTRIBUTE)).list.all()
    shown = pl.format("'{}'", pl.concat_str(pl.col("item_id").fill_null(""), parts.list.join("|"), separator=","))
    with _refusals(path):
        for frame in _read(path, ("item_id", "attributes"), malformed):
            texts = frame.select(_text("item_id"), _parts("attributes", frame.schema["attributes"]))
            yield malformed.keep(texts, good, shown.str.head(80)).with_columns(parts)
        malformed.close()


def further_texts(paths: Sequence[Path]) -> FurtherTexts:
    """Reads tables of texts by item id; all columns are read as strings.

    The item id is the column item_id; a table without that column has the item id in its first column.

    Args:
        paths: CSV, TSV or Parquet files.

    Raises:
        DataError: two tables have the same column.
        ParseError: a file is no such table, has no column beside the item id, or more than 1 % of its rows are
            malformed.
    """
    return FurtherTexts((path, _further_table(path)) for path in paths)


def _further_table(path: Path) -> pl.DataFrame:
    known = column_names(path)
    if len(known) < 2:
        raise ParseError(
            "A table of texts has too few columns.",
            where=path,
            expected="an item id and at least one column of texts",
            found=", ".join(known) or "no column",
        )
    key = "item_id" if "item_id" in known else known[0]
    columns = (key, *(name for name in known if name != key))
    malformed = Malformed(path, ",".join(columns))
    kept = [
        malformed.keep(frame, pl.col(key) != "", pl.lit("an empty item id"))
        for frame in texts(path, columns, malformed)
    ]
    malformed.close()
    return pl.concat(kept)


def column_names(path: Path) -> list[str]:
    """The columns of a table; raises ParseError if the file is no table."""
    with _refusals(path):
        return _format(path).columns(path)


def texts(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pl.DataFrame]:
    """Reads some columns as strings; raises ParseError if the file is no such table."""
    with _refusals(path):
        for frame in _read(path, columns, malformed):
            yield frame.select(_text(name, kind) for name, kind in frame.schema.items())


@dataclass(frozen=True, slots=True)
class _Format:
    """The readers of a file format: the names of its columns, and batches of the requested columns."""

    columns: Callable[[Path], list[str]]
    batches: Callable[[Path, tuple[str, ...], Malformed], Iterator[pa.RecordBatch]]


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError, UnicodeDecodeError, csv.Error) as error:
        raise ParseError("A table cannot be read.", where=path, found=error) from error


def _format(path: Path) -> _Format:
    if path.suffix not in _FORMATS:
        raise ParseError("A table has an unknown format.", where=path, expected=" or ".join(_FORMATS))
    return _FORMATS[path.suffix]


def _read(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pl.DataFrame]:
    known = _format(path).columns(path)
    if missing := [name for name in columns if name not in known]:
        raise ParseError(
            "A table lacks a column.", where=path, expected=", ".join(missing), found=f"only {', '.join(known)}"
        )
    for batch in _format(path).batches(path, columns, malformed):
        yield pl.from_arrow(batch).select(columns)


def _csv_columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _tsv_columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig") as file:
        return file.readline().rstrip("\n").split("\t")


def _csv_batches(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pa.RecordBatch]:
    return _delimited(path, columns, malformed, pa.csv.ParseOptions(newlines_in_values=True))


def _tsv_batches(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pa.RecordBatch]:
    # A quotation mark is an ordinary character in TSV, and a value holds no line break.
    return _delimited(path, columns, malformed, pa.csv.ParseOptions(delimiter="\t", quote_char=False))


def _delimited(
    path: Path, columns: tuple[str, ...], malformed: Malformed, options: pa.csv.ParseOptions
) -> Iterator[pa.RecordBatch]:
    def leave_out(row: pa.csv.InvalidRow) -> str:
        malformed.add(repr(row.text[:80]))
        return "skip"

    options.invalid_row_handler = leave_out
    yield from pa.csv.open_csv(
        path,
        pa.csv.ReadOptions(block_size=_BLOCK_BYTES),
        options,
        pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), include_columns=columns),
    )


def _parquet_columns(path: Path) -> list[str]:
    return pq.read_schema(path).names


def _parquet_batches(path: Path, columns: tuple[str, ...], _: Malformed) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(_BATCH_ROWS, columns=list(columns))


_FORMATS = {
    ".csv": _Format(_csv_columns, _csv_batches),
    ".tsv": _Format(_tsv_columns, _tsv_batches),
    ".parquet": _Format(_parquet_columns, _parquet_batches),
}


def _text(name: str, kind: pl.DataType | None = None) -> pl.Expr:
    if kind == pl.List(pl.String):
        return pl.col(name).list.join(", ")
    return pl.col(name).cast(pl.String)


def _parts(name: str, kind: pl.DataType) -> pl.Expr:
    """A column of lists of texts; blank texts are left out."""
    parts = pl.col(name).cast(pl.List(pl.String)) if isinstance(kind, pl.List) else _text(name, kind).str.split("|")
    return parts.list.eval(pl.element().filter(pl.element().str.strip_chars() != ""))


def _seconds(path: Path, kind: pl.DataType) -> pl.Expr:
    """The column `seconds`: the timestamp in seconds since 1970, null if it cannot be read."""
    time = pl.col("timestamp")
    number = time.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
    match kind:
        case pl.Date() | pl.Datetime():
            seconds = time.dt.epoch("s")
        case pl.String():
            seconds = pl.coalesce(number, _iso_seconds(time))
        case _ if kind.is_numeric():
            seconds = number
        case _:
            raise ParseError(
                "A timestamp column holds no times.",
                where=path,
                expected="numbers, dates or ISO 8601 texts",
                found=f"type {kind}",
            )
    return seconds.alias("seconds")


def _iso_seconds(time: pl.Expr) -> pl.Expr:
    date, minutes, seconds, zone = (time.str.strip_chars().str.extract(_ISO, group) for group in range(1, 5))
    whole = pl.concat_str(
        date,
        pl.lit(" "),
        minutes.fill_null("00:00"),
        seconds.fill_null(":00"),
        zone.replace("Z", "+00:00").fill_null("+00:00"),
    )
    return whole.str.to_datetime("%Y-%m-%d %H:%M:%S%z", strict=False).dt.epoch("s")
