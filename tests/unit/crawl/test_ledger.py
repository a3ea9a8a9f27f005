import json
from pathlib import Path

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.crawl.entry import Entry
from mmsrec.crawl.ledger import Ledger
from mmsrec.errors import ArtifactError

OK = Entry("b", "ok", "http://a/b", 200, 3, "ab" * 32, 1, path="files/00/b.jpg")
DEAD = Entry("a", "dead", "http://a/a", 404, attempts=1, error="HTTP status 404")
FAILED = Entry("c", "failed", "http://a/c", attempts=4, error="the connection was lost")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "files/00").mkdir(parents=True)
    (tmp_path / "files/00/b.jpg").write_bytes(b"123")
    return tmp_path / "ledger.jsonl"


def fill(path: Path, *entries: Entry, rules: str = "r1") -> None:
    with Ledger(path, rules) as ledger:
        for entry in entries:
            ledger.record(entry, entry.url)


def test_final_states_stay_final(path: Path) -> None:
    fill(path, OK, DEAD, FAILED)

    with Ledger(path, "r1") as ledger:
        final = {entry.item_id: ledger.is_final(entry.item_id, entry.url) for entry in (OK, DEAD, FAILED)}
        assert final == {"b": True, "a": True, "c": False}
        assert not ledger.is_final("d", "http://a/d")
        assert not ledger.is_final("a", "http://a/elsewhere")
        assert not ledger.is_final("b", None)


def test_other_rules_reopen_items_without_a_file(path: Path) -> None:
    fill(path, OK, DEAD)

    with Ledger(path, "r2") as ledger:
        assert ledger.is_final("b", OK.url)
        assert not ledger.is_final("a", DEAD.url)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"12")])
def test_a_deleted_or_truncated_file_is_fetched_again(path: Path, damage) -> None:
    fill(path, OK)
    damage(path.parent / "files/00/b.jpg")

    with Ledger(path, "r1") as ledger:
        assert not ledger.is_final("b", OK.url)


def test_the_final_table_is_sorted_and_equal_for_equal_entries(path: Path, tmp_path: Path) -> None:
    fill(path, OK, FAILED, DEAD)
    fill(tmp_path / "other.jsonl", FAILED, FAILED, DEAD, OK)
    with Ledger(path, "r1") as one, Ledger(tmp_path / "other.jsonl", "r1") as other:
        counts = one.finalise(tmp_path / "one.parquet", ["c", "a", "b"])
        other.finalise(tmp_path / "other.parquet", ["a", "b", "c"])

    assert counts == {"ok": 1, "dead": 1, "failed": 1}
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()
    table = pl.from_arrow(read_table(tmp_path / "one.parquet", SCHEMAS["ledger"]))
    assert table["item_id"].to_list() == ["a", "b", "c"]
    assert table.row(0) == ("a", "dead", "http://a/a", 404, None, None, 1, "HTTP status 404", None)


def test_the_last_entry_of_an_item_counts_and_other_items_are_dropped(path: Path, tmp_path: Path) -> None:
    fill(path, DEAD, OK, Entry("a", "ok", "http://a/a", 200, 3, "cd" * 32, 2, path="files/00/b.jpg"))
    with Ledger(path, "r1") as ledger:
        counts = ledger.finalise(tmp_path / "final.parquet", ["a"])

    assert counts == {"ok": 1}


def test_an_unfinished_item_prevents_the_final_table(path: Path, tmp_path: Path) -> None:
    fill(path, OK)
    with Ledger(path, "r1") as ledger, pytest.raises(ArtifactError, match="not finished every item"):
        ledger.finalise(tmp_path / "final.parquet", ["a", "b"])

    assert not (tmp_path / "final.parquet").exists()


def test_an_incomplete_last_line_is_dropped_at_every_length(path: Path) -> None:
    fill(path, OK, DEAD)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        with Ledger(path, "r1") as ledger:
            assert ledger.is_final("b", OK.url)
            assert not ledger.is_final("a", DEAD.url)
            ledger.record(DEAD, DEAD.url)
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b"1",
        b"{}",
        b'{"item_id": "x"}',
        b'{"item_id": "x", "state": "well", "asked": null, "rules": "r"}',
        b'{"item_id": "x", "state": "ok", "asked": null, "rules": "r", "extra": 1}',
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
        *(
            json.dumps({"item_id": "x", "state": "ok", "asked": None, "rules": "r"} | change).encode()
            for change in (
                *(
                    {"item_id": 5},
                    {"status": "x"},
                    {"status": -1},
                    {"status": 99_999},
                    {"bytes": 2**70},
                    {"bytes": 1.5},
                ),
                *({"attempts": True}, {"url": ["x"]}, {"error": {}}, {"asked": 5}, {"rules": None}, {"path": 5}),
                *({"path": "a\0"}, {"path": "\ud800"}, {"path": "../a"}, {"path": "/etc/passwd"}, {"path": "x" * 5000}),
            )
        ),
    ],
    ids=repr,
)
def test_a_damaged_line_is_named(path: Path, line: bytes) -> None:
    fill(path, OK)
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())

    with pytest.raises(ArtifactError, match=r"ledger.jsonl, line 2"):
        Ledger(path, "r1")


def test_the_log_has_one_json_object_a_line(path: Path) -> None:
    fill(path, Entry("\u00e9\n\u2028", "missing"))

    (line,) = path.read_bytes().splitlines()
    assert json.loads(line) == {
        "item_id": "\u00e9\n\u2028",
        "state": "missing",
        "attempts": 0,
        "asked": None,
        "rules": "r1",
    }
    with Ledger(path, "r1") as ledger:
        assert ledger.is_final("\u00e9\n\u2028", None)


def test_half_of_a_surrogate_pair_ends_no_crawl(path: Path) -> None:
    """The reason may be a text from a stranger's JSON. Neither UTF-8 nor Parquet has such halves."""
    fill(path, Entry("v", "dead", error="Private video \ud83d"))
    with Ledger(path, "r1") as ledger:
        ledger.finalise(path.with_name("ledger.parquet"), ["v"])
    assert read_table(path.with_name("ledger.parquet"), SCHEMAS["ledger"]).column("error").to_pylist() == [
        "Private video ?"
    ]
