import polars as pl
import pytest

from mmsrec.errors import ArtifactError, DataError
from mmsrec.recommend.loaded import Part
from mmsrec.recommend.output_tables import FORMATS, table_writer, write_recommendations

BEST = pl.DataFrame({"user": ["ann", "ann", "bob"], "position": [1, 2, 1], "title": ['a "b", c', None, "línea\n2"]})
NONE = pl.DataFrame(schema={"user": pl.String, "reason": pl.String})
LEFT_OUT = pl.DataFrame({"user": ["eve"], "reason": ["the history is empty"]})
READERS = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}


@pytest.mark.parametrize("suffix", FORMATS)
def test_parts_become_one_table(tmp_path, suffix):
    path = tmp_path / "new" / f"out{suffix}"
    parts = [Part(BEST, NONE), Part(BEST.clear(), LEFT_OUT), Part(BEST, NONE)]
    assert write_recommendations(parts, 5, path) == (4, 1)
    assert READERS[suffix](path).rows() == pl.concat([BEST, BEST]).rows()
    assert READERS[suffix](path.with_suffix(f".left-out{suffix}")).rows() == LEFT_OUT.rows()
    write_recommendations(parts[:1], 2, path)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_only_csv_marks_a_title_that_a_spreadsheet_would_calculate(tmp_path):
    best = BEST.with_columns(title=pl.lit("=1+1"))
    titles = {}
    for suffix, read in READERS.items():
        write_recommendations([Part(best, NONE)], 2, tmp_path / f"out{suffix}")
        titles[suffix] = read(tmp_path / f"out{suffix}")["title"].unique().item()
    assert titles == {".csv": "'=1+1", ".parquet": "=1+1", ".jsonl": "=1+1"}


def test_nobody_served_is_an_error_and_the_reasons_are_kept(tmp_path):
    with pytest.raises(DataError, match="1 users: the history is empty"):
        write_recommendations([Part(BEST.clear(), LEFT_OUT)], 1, tmp_path / "out.csv")
    assert [found.name for found in tmp_path.iterdir()] == ["out.left-out.csv"]


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.csv", tmp_path / "file" / "out.csv"):
        with pytest.raises(ArtifactError, match="cannot be written"), table_writer(path):
            pass
    with pytest.raises(ArtifactError, match="unknown format"), table_writer(tmp_path / "out.xlsx"):
        pass
