import zipfile
from pathlib import Path

import pytest

from mmsrec.errors import ArchiveError, ParseError
from mmsrec.sources.trailer_ids import read_trailer_ids

# The last two rows have the quotes of the original.
TABLE = """youtubeId,movieId,title
K26_sDKnvMU,1,Toy Story (1995)
3LPANjHlPxo,2,"Jumanji, the (1995)"
#NAME?,3,Lost to a spreadsheet
../../../x,5,Bad
xxxxxxxxxxx,1,Again
,4,None
3haDg8wk3BE,7789,11'09"01 - September 11 (2002)
fpIzXaJS18s,51372,\"""Great Performances"" Cats (1998)"
"""
KNOWN = {"1": "K26_sDKnvMU", "2": "3LPANjHlPxo", "7789": "3haDg8wk3BE", "51372": "fpIzXaJS18s"}


def test_ids_are_read_from_the_table_or_its_archive(tmp_path: Path) -> None:
    (tmp_path / "ml-youtube.csv").write_text(TABLE)
    assert read_trailer_ids(tmp_path / "ml-youtube.csv") == KNOWN

    for member in ("ml-youtube.csv", "ml-20m-youtube/ml-youtube.csv"):
        with zipfile.ZipFile(tmp_path / "ml-20m-youtube.zip", "w") as archive:
            archive.writestr("README.txt", "about")
            archive.writestr(member, TABLE)
        assert read_trailer_ids(tmp_path / "ml-20m-youtube.zip") == KNOWN


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b'youtubeId,movieId\n"open'])
def test_a_table_of_another_format_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ml-youtube.csv"
    path.write_bytes(content)
    with pytest.raises(ParseError, match="trailer ids"):
        read_trailer_ids(path)


def test_a_missing_table_and_an_archive_without_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ParseError):
        read_trailer_ids(tmp_path / "ml-youtube.csv")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("README.txt", "about")
    with pytest.raises(ArchiveError, match="lacks a member"):
        read_trailer_ids(tmp_path / "x.zip")


def test_the_real_trailer_ids_are_read(real_data: Path) -> None:
    known = read_trailer_ids(real_data / "ml-1m/ml-youtube.csv")

    assert len(known) > 25_000
    assert known["1"] == KNOWN["1"]
