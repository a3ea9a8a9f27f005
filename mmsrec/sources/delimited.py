"""Reads CSV (RFC 4180) and TSV in UTF-8 with a header; a row that breaks the format is counted, never repaired.

A quotation mark that is missing makes a reader take the next rows for one value. Three rules find it: text after a
closing quotation mark, a row of another width, and a value whose lines are rows themselves. All lines that such a value
holds count as malformed rows.
"""

import csv
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.csv

from mmsrec.errors import ParseError
from mmsrec.sources.malformed import Malformed

_BLOCK_BYTES = 8 << 20
_BATCH_ROWS = 1 << 16
_LONGEST = 4 << 20  # characters of a line, and of a value
_SHOWN = 60
_BREAK = re.compile(r"\r\n|\r|\n")
_NEIGHBOURS = 100  # accepted rows whose ids show what an id looks like


def csv_columns(path: Path) -> list[str]:
    """The header of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(_lines(file, path), strict=True), [])


def tsv_columns(path: Path) -> list[str]:
    """The header of a TSV file."""
    with path.open(encoding="utf-8-sig") as file:
        return next(_lines(file, path), "").rstrip("\n").split("\t")


def csv_batches(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pa.RecordBatch]:
    """Batches of some columns as strings. The first column is an id, as in all tables of `tables`."""
    if contains(path, b'"'):
        return _quoted(path, columns, malformed)
    return _plain(path, columns, malformed, pa.csv.ParseOptions(quote_char=False))


def tsv_batches(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pa.RecordBatch]:
    """As `csv_batches`. A quotation mark is an ordinary character in TSV, and a value holds no line break."""
    return _plain(path, columns, malformed, pa.csv.ParseOptions(delimiter="\t", quote_char=False))


def contains(path: Path, part: bytes) -> bool:
    """Whether a file holds some bytes."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if part in rest + block:
                return True
            rest = block[1 - len(part) :] if len(part) > 1 else b""
    return False


def _plain(
    path: Path, columns: tuple[str, ...], malformed: Malformed, options: pa.csv.ParseOptions
) -> Iterator[pa.RecordBatch]:
    """A file without quoted values, read by Arrow, which is ten times faster than Python."""

    def leave_out(row: pa.csv.InvalidRow) -> str:
        malformed.add(f"{row.text[:_SHOWN]!r} ({row.actual_columns} fields, not {row.expected_columns})")
        return "skip"

    _check_encoding(path)
    options.invalid_row_handler = leave_out
    yield from pa.csv.open_csv(
        path,
        pa.csv.ReadOptions(block_size=_BLOCK_BYTES),
        options,
        pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), include_columns=columns),
    )


def _check_encoding(path: Path) -> None:
    """Raises UnicodeDecodeError for a file that is not UTF-8. Arrow would decode only the requested columns."""
    decoder = getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            decoder.decode(block)
    decoder.decode(b"", final=True)


def _quoted(path: Path, columns: tuple[str, ...], malformed: Malformed) -> Iterator[pa.RecordBatch]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = _rows(file, path, columns[0], malformed)
        header = next(rows)
        places = [header.index(name) for name in columns]
        chosen, size = [], 0
        for row in rows:
            chosen.append([row[place] for place in places])
            size += sum(map(len, chosen[-1]))
            if len(chosen) == _BATCH_ROWS or size > _BLOCK_BYTES:
                yield _batch(chosen, columns)
                chosen, size = [], 0
        yield _batch(chosen, columns)


def _batch(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> pa.RecordBatch:
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in values], list(columns))


def _rows(file: TextIO, path: Path, id_column: str, malformed: Malformed) -> Iterator[list[str]]:
    """The header, then the well-formed rows. Blank lines are skipped."""
    csv.field_size_limit(_LONGEST)  # a longer value is an error of the reader, so that memory is bounded
    reader = csv.reader(_lines(file, path), strict=True)
    header = next(reader)
    yield header
    place, ids, last = header.index(id_column), [], reader.line_num
    while True:
        reason = None
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row, reason = [], str(error)
        first, lines = last + 1, reader.line_num - last
        last = reader.line_num
        if reason is None and row and len(row) != len(header):
            reason = f"{len(row)} fields, not {len(header)}"
        elif lines > 1 and _holds_rows(row, len(header), place, ids):
            reason = "a quoted value holds rows: a quotation mark is missing"
        if reason:
            at = f"line {first}" if lines == 1 else f"lines {first} to {last}"
            malformed.add(f"{at} ({reason})", lines)
        elif row:
            ids = [*ids[1 - _NEIGHBOURS :], row[place]] if lines > 1 or len(ids) < _NEIGHBOURS else ids
            yield row


def _holds_rows(row: Sequence[str], width: int, place: int, ids: Sequence[str]) -> bool:
    """Whether a value consists of the ends of two rows and whole rows between, whose ids look like the table's ids."""
    looks = {_look(known) for known in (*ids, row[place] if place < len(row) else "")}
    for column, value in enumerate(row):
        _, *inner = _BREAK.split(value)
        if not inner:
            continue
        *whole, tail = inner
        found = [line.split(",") for line in whole] + ([tail.split(",")] if place < column else [])
        fits = all(line.count(",") == width - 1 for line in whole) and tail.count(",") == column
        if found and fits and all(_look(line[place]) in looks for line in found):
            return True
    return False


def _look(identifier: str) -> frozenset[str]:
    """The kinds of characters of an id: digits, letters, and each other character."""
    kinds = ("9" if char.isdigit() else "a" if char.isalpha() else char for char in identifier)
    return frozenset(kinds)


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    while line := file.readline(_LONGEST + 1):
        if len(line) > _LONGEST:
            raise ParseError("A line is too long.", where=path, expected=f"at most {_LONGEST:,} characters")
        yield line
