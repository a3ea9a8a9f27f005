import polars as pl
import pytest

from mmsrec.errors import DataError, ParseError
from mmsrec.recommend.catalogue import Catalogue
from mmsrec.recommend.user_histories import chosen, known_histories, read_histories, with_actions

CATALOGUE = Catalogue(pl.DataFrame({"item_id": ["a", "b", "c"], "title": [None, "B", "C"]}).with_row_index("place"))


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def rows(histories):
    return histories.select("user", "items", "given").rows()


def test_actions_follow_their_times_and_users_their_first_rows(tmp_path):
    path = write(tmp_path / "h.csv", "user,item,timestamp\nbob,a,9\nann,c,5\nbob,b,2\nann,a,5\n")
    assert rows(read_histories(path, CATALOGUE)) == [("bob", [1, 0], 2), ("ann", [2, 0], 2)]


def test_the_order_of_the_rows_changes_no_history_with_times(tmp_path):
    lines = ["bob,a,9", "ann,c,5", "bob,b,2", "ann,a,6"]
    found = [
        read_histories(write(tmp_path / "h.csv", "\n".join(["user,item,timestamp", *order])), CATALOGUE).sort("user")
        for order in (lines, lines[::-1])
    ]
    assert found[0].equals(found[1])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_actions_without_times_follow_the_file(tmp_path, suffix):
    table = pl.DataFrame({"user": ["bob", "bob", "ann"], "item": ["c", "a", "x"]})
    path = tmp_path / f"h{suffix}"
    table.write_parquet(path) if suffix == ".parquet" else table.write_csv(
        path, separator="," if suffix == ".csv" else "\t"
    )
    assert rows(read_histories(path, CATALOGUE)) == [("bob", [2, 0], 2), ("ann", [], 1)]


def test_users_of_any_name(tmp_path):
    names = ["Zoë 'x'", "李雷", "=1+1", "a/../b"]
    text = "user,item\n" + "".join(f'"{name}",a\n' for name in names)
    assert read_histories(write(tmp_path / "h.csv", text), CATALOGUE)["user"].to_list() == names


KNOWN = pl.DataFrame(
    {"user": ["ann", "bob"], "items": [[0, 1], [2, 2]], "timestamps": [[1, 5], [1, 2]], "given": [2, 2]},
    schema={"user": pl.String, "items": pl.List(pl.UInt32), "timestamps": pl.List(pl.Int64), "given": pl.UInt32},
)


def test_new_actions_come_after_the_known_ones_by_time(tmp_path):
    path = write(tmp_path / "n.csv", "user,item,timestamp\neve,b,1\nann,c,7\nann,c,3\n")
    found = with_actions(KNOWN, path, CATALOGUE)
    assert rows(found) == [("ann", [0, 2, 1, 2], 4), ("bob", [2, 2], 2), ("eve", [1], 1)]


def test_new_actions_without_times_come_last(tmp_path):
    found = with_actions(KNOWN, write(tmp_path / "n.csv", "user,item\nbob,a\n"), CATALOGUE)
    assert rows(found) == [("ann", [0, 1], 2), ("bob", [2, 2, 0], 3)]


def test_the_order_of_chosen_users_is_that_of_the_names():
    assert chosen(KNOWN, ["bob", "ann", "bob"])["user"].to_list() == ["bob", "ann"]
    with pytest.raises(DataError, match=r"'x', 'y', 'z' and 1 more"):
        chosen(KNOWN, ["x", "y", "z", "w", "ann"])


BAD = {
    "no column item": ("user,thing\nann,a\n", ParseError, "lacks a column"),
    "no rows": ("user,item\n", ParseError, "no rows"),
    "empty": ("", ParseError, "."),
    "empty ids": ("user,item\nann,\n,a\n", ParseError, "malformed"),
    "unknown items": ("user,item\nann,A\nann,B\n", DataError, r"None of the 2 items"),
}


@pytest.mark.parametrize(("text", "error", "message"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read_histories(write(tmp_path / "h.csv", text), CATALOGUE)


def test_a_wrong_encoding_and_a_missing_file(tmp_path):
    path = tmp_path / "h.csv"
    path.write_bytes("user,item\nann,\xe9\n".encode("latin-1"))
    with pytest.raises(ParseError):
        read_histories(path, CATALOGUE)
    with pytest.raises(DataError, match="missing"):
        read_histories(tmp_path / "none.csv", CATALOGUE)


def test_known_histories_are_whole_sequences(shop):
    histories = known_histories(shop / "data" / "sequences.parquet")
    assert rows(histories.head(1)) == [("user00", [0, 1, 2, 3, 4], 5)]
