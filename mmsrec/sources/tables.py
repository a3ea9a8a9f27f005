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
import pyarrow.parquet as pq
from polars.exceptions import PanicException

from mmsrec.errors import ParseError
from mmsrec.sources import times
from mmsrec.sources.delimited import contains, csv_batches, csv_columns, tsv_batches, tsv_columns
from mmsrec.sources.ids import NUMERIC_SHARE, id_text, is_id, whole_numbers
from mmsrec.sources.malformed import OWN_FIX, Malformed
from mmsrec.sources.text import NO_TEXTS, FurtherTexts, item_table, own_fields

_BATCH_ROWS = 1 << 17
_SHOWN = 300
_TEXTS = (pl.String, pl.Categorical, pl.Enum)
_ATTRIBUTE = r"^[^=]*[^=\s][^=]*="


def interactions(path: Path) -> Iterator[pl.DataFrame]:
    """Reads user, item and timestamp.

    Raises:
        ParseError: the file is no such table, or more than 1 % of its rows are malformed.
    """
    malformed = Malformed(path, "user,item,timestamp (seconds since 1970, or an ISO 8601 date)", OWN_FIX)
    timed = pl.col("seconds").is_between(0, times.LATEST, closed="left")
    shown = pl.concat_str(pl.col("user", "item", "timestamp").cast(pl.String).fill_null(""), separator=",")
    wrong = pl.when(is_id("user") & is_id("item")).then(times.reason()).otherwise(pl.lit("no user, or no item"))
    with _refusals(path):
        for frame in _read(path, ("user", "item", "timestamp"), malformed, ids=("user", "item")):
            seconds = frame.with_columns(times.seconds(path, frame.schema["timestamp"]))
            if frame.schema["timestamp"].is_temporal():
                # polars stops at the text of a date that no calendar has, so the message has the seconds.
                seconds = seconds.with_columns(timestamp="seconds")
            label = pl.format("'{}' ({})", shown, wrong.fill_null("no user, or no item"))
            kept = malformed.keep(seconds, is_id("user") & is_id("item") & timed, label)
            yield kept.select("user", "item", timestamp="seconds")
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
        malformed = Malformed(path, ",".join(columns), OWN_FIX)
        for frame in _read(path, columns, malformed, ids=("item_id",)):
            strings = frame.select(_text(name, kind) for name, kind in frame.schema.items())
            kept = malformed.keep(strings, is_id("item_id"), _no_id("item_id"))
            yield item_table(kept, text_fields, further)
        malformed.close()


def attributes(path: Path, drop_first: bool = False) -> Iterator[pl.DataFrame]:
    """Reads item_id and the column attributes: `FIELD=NAME` with `|` between, or a list of such texts in Parquet.

    `drop_first` changes nothing, because a table has no paths of categories.

    Raises:
        ParseError: the file is no such table, lacks the column, or more than 1 % of its rows are malformed.
    """
    malformed = Malformed(path, "an item_id, and attributes such as brand=COKA|category=Makeup", OWN_FIX)
    parts = pl.col("attributes").fill_null([])
    good = is_id("item_id") & parts.list.eval(pl.element().str.contains(_ATTRIBUTE)).list.all()
    shown = pl.format("'{}'", pl.concat_str(pl.col("item_id").fill_null(""), parts.list.join("|"), separator=","))
    with _refusals(path):
        for frame in _read(path, ("item_id", "attributes"), malformed, ids=("item_id",)):
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
    malformed = Malformed(path, ",".join(columns), OWN_FIX)
    kept = [malformed.keep(frame, is_id(key), _no_id(key)) for frame in texts(path, columns, malformed, ids=(key,))]
    malformed.close()
    return pl.concat(kept)


def column_names(path: Path) -> list[str]:
    """The columns of a table; raises ParseError if the file is no table."""
    with _refusals(path):
        return _format(path).columns(path)


def texts(
    path: Path, columns: tuple[str, ...], malformed: Malformed, ids: tuple[str, ...] = ()
) -> Iterator[pl.DataFrame]:
    """Reads some columns as strings, `ids` as ids; raises ParseError if the file is no such table."""
    with _refusals(path):
        for frame in _read(path, columns, malformed, ids):
            yield frame.select(_text(name, kind) for name, kind in frame.schema.items())


@dataclass(frozen=True, slots=True)
class _Format:
    """The readers of a file format: the names of its columns, and batches of the requested columns.

    `has_decimals` tells without a parser whether some text may end in `.0`.
    """

    columns: Callable[[Path], list[str]]
    batches: Callable[[Path, tuple[str, ...], Malformed], Iterator[pa.RecordBatch]]
    has_decimals: Callable[[Path], bool]


# A panic of polars, such as at a date that is out of range, is no Exception.
_REFUSALS = (pa.ArrowException, OSError, pl.exceptions.PolarsError, PanicException, UnicodeDecodeError, csv.Error)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except _REFUSALS as error:
        raise ParseError(
            "A table cannot be read.",
            where=path,
            expected="UTF-8 text with a header, or Parquet, as its suffix says",
            found=str(error)[:_SHOWN],
            fix="Save the table again as CSV in UTF-8, or as Parquet.",
        ) from error


def _format(path: Path) -> _Format:
    if path.suffix not in _FORMATS:
        raise ParseError("A table has an unknown format.", where=path, expected=" or ".join(_FORMATS))
    return _FORMATS[path.suffix]


def _read(path: Path, columns: tuple[str, ...], malformed: Malformed, ids: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """Some columns of a table. The ids are text, and a further row of the header is malformed."""
    known = _format(path).columns(path)
    if missing := [name for name in columns if name not in known]:
        raise ParseError(
            "A table lacks a column.",
            where=path,
            expected=", ".join(missing),
            found=f"only {', '.join(known)}"[:_SHOWN],
            fix="Correct the header. A CSV file has commas between its columns.",
        )
    if repeated := sorted({name for name in columns if known.count(name) > 1}):
        raise ParseError(
            "A column occurs twice in a table.", where=path, found=", ".join(repeated), fix="Rename or remove one."
        )
    whole = _whole(path, ids)
    header = pl.all_horizontal(pl.col(name).cast(pl.String).eq_missing(pl.lit(name)) for name in columns)
    for batch in _format(path).batches(path, columns, malformed):
        frame = pl.from_arrow(batch).select(columns)
        if all(kind == pl.String for kind in frame.schema.values()):
            frame = malformed.without(frame, header, "the header again")
        yield frame.with_columns(id_text(name, frame.schema[name], name in whole) for name in ids)


def _whole(path: Path, ids: tuple[str, ...]) -> set[str]:
    """The columns of text whose ids are whole numbers, some of them with decimals."""
    if not _format(path).has_decimals(path):
        return set()
    counts = dict.fromkeys(ids, (0, 0))
    for batch in _format(path).batches(path, ids, Malformed(path, "")):
        frame = pl.from_arrow(batch)
        for name in (name for name in ids if frame.schema[name].base_type() in _TEXTS):
            found = whole_numbers(frame.get_column(name).cast(pl.String))
            counts[name] = tuple(map(sum, zip(counts[name], found, strict=True)))
    return {name for name, (whole, other) in counts.items() if whole and whole >= NUMERIC_SHARE * (whole + other)}


def _parquet_columns(path: Path) -> list[str]:
    return pq.read_schema(path).names


def _parquet_batches(path: Path, columns: tuple[str, ...], _: Malformed) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        for name in columns:
            kind = file.schema_arrow.field(name).type
            if not _is_known(kind):
                raise ParseError(
                    "A column has a type that a table cannot have.",
                    where=f"{path}: {name}",
                    expected="text, numbers, dates, or lists of text",
                    found=f"type {kind}",
                    fix="Save the column again as text.",
                )
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns)):
            batch.validate(full=True)  # Parquet's reader does not check texts
            # Without the metadata, whose bytes may be no UTF-8, at which polars stops.
            yield pa.RecordBatch.from_arrays(batch.columns, names=batch.schema.names)


def _is_known(kind: pa.DataType) -> bool:
    """Whether polars reads a type. It stops the process at some of the others, such as decimal256."""
    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_known(kind.value_type)
    return any(is_kind(kind) for is_kind in _KINDS)


_KINDS = (
    *(pa.types.is_primitive, pa.types.is_null, pa.types.is_decimal32, pa.types.is_decimal64, pa.types.is_decimal128),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary),
    *(pa.types.is_large_binary, pa.types.is_binary_view),
)


_FORMATS = {
    ".csv": _Format(csv_columns, csv_batches, lambda path: contains(path, b".0")),
    ".tsv": _Format(tsv_columns, tsv_batches, lambda path: contains(path, b".0")),
    ".parquet": _Format(_parquet_columns, _parquet_batches, lambda _: True),
}


def _no_id(name: str) -> pl.Expr:
    """The fault of an id, in words."""
    broken = pl.format("a line break in the id {}", pl.col(name).str.head(_SHOWN).str.replace_all(r"[\r\n]+", " "))
    return pl.when(pl.col(name).str.contains(r"[\r\n]")).then(broken).otherwise(pl.lit(f"an empty {name}"))


def _text(name: str, kind: pl.DataType | None = None) -> pl.Expr:
    if kind == pl.List(pl.String):
        return pl.col(name).list.join(", ")
    return pl.col(name).cast(pl.String)


def _parts(name: str, kind: pl.DataType) -> pl.Expr:
    """A column of lists of texts; blank texts are left out."""
    parts = pl.col(name).cast(pl.List(pl.String)) if isinstance(kind, pl.List) else _text(name, kind).str.split("|")
    return parts.list.eval(pl.element().filter(pl.element().str.strip_chars() != ""))
