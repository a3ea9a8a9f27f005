import os
from pathlib import Path

import pytest

from mmsrec.files import sha256, write_json
from mmsrec.sources.replaced import replaced_files

OLD, NEW = b"user,item,timestamp\na,b,1\n", b"user,item,timestamp\na,c,1\n"


@pytest.fixture
def raw(tmp_path):
    file = tmp_path / "sales.csv"
    file.write_bytes(OLD)
    os.utime(file, (1_000_000, 1_000_000))
    return file


@pytest.fixture
def made(tmp_path, raw):
    """A file that was made from the raw file and seen with it."""
    file = tmp_path / "items.parquet"
    file.touch()
    assert look(raw, file) == []
    return file


def look(raw, *made):
    return replaced_files({raw: made}, raw.parent / "note.json")


def put(raw, content, seconds):
    """Puts another file in place of the raw file, with its own time."""
    other = raw.with_name("other")
    other.write_bytes(content)
    os.utime(other, (seconds, seconds))
    other.replace(raw)


@pytest.mark.parametrize("content", [NEW, NEW + b"d,e,1\n", b""], ids=["same size", "longer", "empty"])
@pytest.mark.parametrize("seconds", [500_000, 1_000_000, 2_000_000], ids=["older", "same time", "newer"])
def test_a_replaced_file_is_noticed_once_whatever_its_time(raw, made, content, seconds):
    put(raw, content, seconds)
    assert look(raw, made) == [raw]
    assert made.stat().st_mtime < raw.stat().st_mtime == seconds
    assert look(raw, made) == []
    put(raw, OLD, 100)
    assert look(raw, made) == [raw]


def test_the_same_content_is_no_change(raw, made):
    before = made.stat().st_mtime_ns
    put(raw, OLD, 500_000)
    assert look(raw, made) == []
    assert made.stat().st_mtime_ns == before


def test_a_download_has_recorded_the_digest_of_a_large_file(tmp_path, raw, monkeypatch):
    write_json(raw.with_name("sales.csv.json"), {"sha256": sha256(raw), "bytes": len(OLD)})
    with monkeypatch.context() as patch:
        patch.setattr("mmsrec.sources.replaced.sha256", lambda _: pytest.fail("the file is read"))
        look(raw)
    put(raw, NEW, 500_000)
    assert look(raw) == [raw]


def test_nothing_is_read_while_nothing_changes(raw, made, monkeypatch):
    monkeypatch.setattr("mmsrec.sources.replaced.sha256", lambda _: pytest.fail("the file is read"))
    assert look(raw, made) == []


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', '{"x": {"bytes": 1}}', "\x00"])
def test_a_damaged_note_counts_as_none(raw, made, text):
    Path(raw.parent / "note.json").write_text(text)
    put(raw, NEW, 500_000)
    assert look(raw, made) == []
    put(raw, OLD, 500_000)
    assert look(raw, made) == [raw]


def test_missing_files_are_left_out(tmp_path):
    assert look(tmp_path / "none.csv", tmp_path / "none.parquet") == []
    assert not (tmp_path / "note.json").exists()
