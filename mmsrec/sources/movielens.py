"""MovieLens-1M (Harper and Konstan, 2015): a zip of Latin-1 files whose fields are separated by `::`."""

import logging
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import polars as pl

from mmsrec.errors import ParseError
from mmsrec.sources.archive import open_member
from mmsrec.sources.lines import read_interactions, read_rows
from mmsrec.sources.malformed import Malformed
from mmsrec.sources.text import NO_TEXTS, FurtherTexts, item_table, own_fields

logger = logging.getLogger(__name__)

TEXT_FIELDS = ("title", "genres")

_LARGEST = 64 << 20  # bytes of movies.dat, which is read at once
_FORMAT = {"separator": "::", "encoding": "latin-1"}
_ARTICLES = (
    "The|A|An|Le|La|Les|L'|Un|Une|Der|Die|Das|Ein|Eine|Il|Lo|I|Gli|Uno|Una|El|Los|Las|O|Os|As|De|Het|Een|Den|Det|En|Et"
)


def interactions(path: Path) -> Iterator[pl.DataFrame]:
    """Reads ratings.dat of the archive: user, item, rating and unix time.

    Raises:
        ArchiveError: the archive is damaged or has no such member.
        ParseError: more than 1 % of the rows are malformed.
    """
    with open_member(path, "ml-1m/ratings.dat") as file:
        yield from read_interactions(file, f"{path}: ratings.dat", **_FORMAT)


def items(path: Path, text_fields: Sequence[str], further: FurtherTexts = NO_TEXTS) -> Iterator[pl.DataFrame]:
    """Reads movies.dat of the archive: item, title with its year, genres.

    Raises:
        DataError: a text field is in neither `TEXT_FIELDS` nor the further tables.
        ArchiveError, ParseError: as in `interactions`.
    """
    own_fields(text_fields, TEXT_FIELDS, path, further)
    for frame in _films(path):
        readable = frame.with_columns(
            readable_title("title"), pl.col("genres").str.replace_all("|", ", ", literal=True)
        )
        yield item_table(readable, text_fields, further)


def attributes(path: Path, drop_first: bool = False) -> Iterator[pl.DataFrame]:
    """Reads item_id and attributes of the same member: `genre=NAME` for each genre.

    `drop_first` changes nothing, because genres have no paths.

    Raises:
        ArchiveError, ParseError: as in `interactions`.
    """
    names = pl.col("genres").str.split("|")
    for frame in _films(path):
        yield frame.select("item_id", attributes=names.list.eval("genre=" + pl.element()))


def _films(path: Path) -> Iterator[pl.DataFrame]:
    """The well-formed rows of movies.dat: item_id, title, genres."""
    where = f"{path}: movies.dat"
    malformed = Malformed(where, "MOVIE::TITLE (YEAR)::GENRE|GENRE")
    with open_member(path, "ml-1m/movies.dat") as file:
        content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ParseError("A table of films is too large.", where=where, expected=f"at most {_LARGEST:,} bytes")
        encoding = _encoding(content, where)
        format = _FORMAT | {"encoding": encoding}
        for frame in read_rows(BytesIO(content), where, columns=("item_id", "title", "genres"), **format):
            yield malformed.keep(frame, pl.col("item_id") != "", pl.format("line {}", "line"))
    malformed.close()


def _encoding(content: bytes, where: str) -> str:
    """The encoding of movies.dat: Latin-1 as published, or UTF-8 if a user saved it again.

    Letters beyond ASCII that are valid UTF-8 are no Latin-1: such pairs of signs as `Ã©` occur in no title.
    """
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _FORMAT["encoding"]
    if not content.isascii():
        logger.warning("%s: the file is in UTF-8, not in the Latin-1 of the release; it is read as UTF-8", where)
    return "utf-8"


def readable_title(column: str) -> pl.Expr:
    """Turns `Matrix, The (1999)` into `The Matrix (1999)`, also for a second title in parentheses."""
    return (
        pl.col(column)
        .str.replace(rf"^([^()]+), ({_ARTICLES})( ?\(|$)", "$2 $1$3")
        .str.replace_all(rf"\(([^()]+), ({_ARTICLES})\)", "($2 $1)")
        .str.replace_all(r"(^|\()L' ", "${1}L'")
    )
