"""Writes recommendations as CSV, Parquet or JSON Lines, some users at a time."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow.parquet as pq

from mmsrec.errors import ArtifactError
from mmsrec.files import atomic_path
from mmsrec.progress import progress
from mmsrec.recommend.loaded import Part, nobody
from mmsrec.spreadsheets import without_formulas

logger = logging.getLogger(__name__)

Write = Callable[[pl.DataFrame], None]


def write_recommendations(parts: Iterable[Part], users: int, output: Path) -> tuple[int, int]:
    """Writes the recommendations into `output`, and the users without one into a table beside it.

    Args:
        parts: recommendations to some users each.
        users: number of users in all parts, for the progress bar.
        output: a .csv, .parquet or .jsonl file. The other table has `.left-out` before the suffix; it is there only if
            a user is left out.

    Returns:
        The numbers of users with and without a recommendation.

    Raises:
        ArtifactError: the suffix is unknown, or a file cannot be written.
        DataError: no user gets a recommendation; the table of the users left out is written all the same.
    """
    beside = output.with_suffix(f".left-out{output.suffix}")
    served, left_out = 0, []
    with progress("recommend", users, " users") as bar, table_writer(output) as write:
        for part in parts:
            write(part.best)
            left_out.append(part.left_out)
            found = part.best["user"].n_unique()
            served += found
            bar.update(found + part.left_out.height)
        missing = pl.concat(left_out)
        beside.unlink(missing_ok=True)
        if missing.height:
            with table_writer(beside) as write_missing:
                write_missing(missing)
            logger.warning("%s users get no recommendation, with the reason in %s", f"{missing.height:,}", beside)
        if not served:
            raise nobody(missing)
    return served, missing.height


@contextmanager
def table_writer(path: Path) -> Iterator[Write]:
    """Yields a function that appends tables with the same columns to a file, which is whole or absent in the end.

    Raises:
        ArtifactError: the suffix is unknown, or the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise ArtifactError("A table has an unknown format.", where=path, expected=" or ".join(FORMATS))
    with ExitStack() as stack:
        try:
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder")
            temporary = stack.enter_context(atomic_path(path))
        except OSError as error:
            raise ArtifactError(
                "A table cannot be written.", where=path, found=error, fix="Name another file, or free this one."
            ) from error
        file = stack.enter_context(temporary.open("wb"))
        yield stack.enter_context(FORMATS[path.suffix](file))


@contextmanager
def _csv(file: BinaryIO) -> Iterator[Write]:
    yield lambda table: without_formulas(table).write_csv(file, include_header=file.tell() == 0)


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[Write]:
    with ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(table: pl.DataFrame) -> None:
            rows = table.to_arrow()
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(file, rows.schema, compression="zstd")))
            writers[0].write_table(rows)

        yield write


@contextmanager
def _json_lines(file: BinaryIO) -> Iterator[Write]:
    yield lambda table: table.write_ndjson(file)


FORMATS = {".csv": _csv, ".parquet": _parquet, ".jsonl": _json_lines}
