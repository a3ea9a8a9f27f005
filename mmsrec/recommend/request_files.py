"""The parts of a request that lie in files: candidates, and items that are not recommended."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmsrec.errors import DataError, ParseError
from mmsrec.sources import tables
from mmsrec.sources.malformed import OWN_FIX, Malformed

SEEN, NONE = "seen", "none"
ITEM_COLUMNS = ("item_id", "item")


def read_item_ids(path: Path) -> pl.Series:
    """The ids in the column item_id or item of a CSV, TSV or Parquet file.

    Raises:
        DataError: the file is missing.
        ParseError: the file is no such table, or more than 1 % of its rows have no id.
    """
    return _pairs(path, ()).get_column("item")


def exclusions(values: Sequence[str]) -> tuple[bool, pl.DataFrame | None]:
    """Whether items of a user's own history may be recommended, and the other excluded items.

    Args:
        values: `seen`, `none` or files with a column item_id or item and optionally user; `seen` and files may be
            combined.

    Raises:
        DataError: `none` is combined with another value, or a file is missing.
        ParseError: as in `read_item_ids`.
    """
    if NONE in values and len(values) > 1:
        raise DataError(
            "The request excludes nothing and something.", found=" ".join(values), fix=f"Give `{NONE}` alone."
        )
    files = [Path(value) for value in values if value not in (SEEN, NONE)]
    excluded = [_pairs(file, ("user",)) for file in files]
    return SEEN not in values, pl.concat(excluded, how="diagonal") if excluded else None


def _pairs(path: Path, optional: tuple[str, ...]) -> pl.DataFrame:
    """The column item and those of the optional columns that the file has."""
    if not path.is_file():
        raise DataError("A file of items is missing.", where=path, fix="Check the path.")
    known = tables.column_names(path)
    key = next((name for name in ITEM_COLUMNS if name in known), None)
    if key is None:
        raise ParseError(
            "A table of items lacks a column.",
            where=path,
            expected=" or ".join(ITEM_COLUMNS),
            found=f"only {', '.join(known)}",
        )
    columns = (key, *(name for name in optional if name in known))
    malformed = Malformed(path, ",".join(columns), OWN_FIX)
    good = pl.all_horizontal(pl.col(columns) != "")
    read = tables.texts(path, columns, malformed, ids=columns)
    frames = [malformed.keep(frame, good, pl.lit("an empty value")) for frame in read]
    malformed.close()
    return pl.concat(frames).rename({key: "item"})
