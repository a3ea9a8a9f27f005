"""Text lines of a gzip file from the web, in batches. Lines are bounded, and damage is an error."""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmsrec.errors import ParseError
from mmsrec.sources.malformed import Malformed

# A longer line is cut to this length, which marks it as too long. Python's parser takes about 500 bytes of memory for
# each byte of hostile input.
LONGEST_LINE = 1 << 19
_BATCH_BYTES = 8 << 20


def batches(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines that are not blank, a few megabytes at a time. A line that is too long is cut.

    Raises:
        ParseError: the file is truncated or no gzip file.
    """
    batch: list[tuple[int, bytes]] = []
    number = size = 0
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(LONGEST_LINE):
                number += 1
                line = line.removeprefix(BOM_UTF8) if number == 1 else line
                if not line.isspace():
                    batch.append((number, line))
                    size += len(line)
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST_LINE)
                if size > _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = "A gzip file is truncated." if isinstance(error, EOFError) else "A file is damaged or no gzip file."
        fix = "If the file was downloaded, download it again. Else compress it again."
        raise ParseError(what, where=f"{path}, after line {number}", found=error, fix=fix) from error
    if batch:
        yield batch


def parsed(
    lines: list[tuple[int, bytes]],
    parse: Callable[[bytes], tuple[Any, ...]],
    refused: tuple[type[Exception], ...],
    malformed: Malformed,
) -> list[tuple[Any, ...]]:
    """The rows that `parse` makes from lines. A line that is too long, or that it refuses, is counted as malformed.

    Args:
        lines: numbered lines of `batches`.
        parse: makes a row from a line.
        refused: the errors by which `parse` refuses a line.
        malformed: counts the lines.
    """
    rows = []
    for number, line in lines:
        try:
            if len(line) == LONGEST_LINE:
                raise ValueError("the line is too long")
            rows.append(parse(line))
        except (ValueError, *refused):
            malformed.add(f"line {number}")
    malformed.rows += len(rows)
    return rows
