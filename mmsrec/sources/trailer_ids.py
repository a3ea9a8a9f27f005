"""GroupLens' trailer ids for MovieLens (ml-20m-youtube.zip). All MovieLens releases share the movie ids."""

import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
from pyarrow import csv

from mmsrec.errors import ParseError
from mmsrec.sources.archive import open_member

TABLE = "ml-youtube.csv"
# A spreadsheet replaced some ids by #NAME?.
VIDEO_ID = r"^[A-Za-z0-9_-]{11}$"
COLUMNS = {"movieId": pa.string(), "youtubeId": pa.string()}
MAX_BYTES = 100_000_000


def read_trailer_ids(path: Path) -> dict[str, str]:
    """Reads the trailers' YouTube ids by movie, from ml-youtube.csv or its archive. Malformed ids are dropped.

    Raises:
        ArchiveError: the archive is damaged or lacks the table.
        ParseError: the table is missing or has another format.
    """
    options = csv.ConvertOptions(include_columns=list(COLUMNS), column_types=COLUMNS, strings_can_be_null=True)
    try:
        with _open(path) as file:
            table = csv.read_csv(file, convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise ParseError(
            "The table of trailer ids cannot be read.",
            where=path,
            expected=f"{TABLE}: CSV in UTF-8 with the columns youtubeId, movieId, title",
            found=error,
        ) from error
    known = pl.from_arrow(table).drop_nulls().filter(pl.col("youtubeId").str.contains(VIDEO_ID))
    return dict(known.unique("movieId", keep="first", maintain_order=True).iter_rows())


def _open(path: Path) -> AbstractContextManager[BinaryIO]:
    if not zipfile.is_zipfile(path):
        return path.open("rb")
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.rpartition("/")[2] == TABLE]
    return open_member(path, members[0] if members else TABLE, MAX_BYTES)
