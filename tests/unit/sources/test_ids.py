import logging
from decimal import Decimal

import polars as pl
import pytest

from mmsrec.errors import DataError, ParseError
from mmsrec.sources import tables
from mmsrec.sources.ids import check_described, near_misses
from mmsrec.sources.ingest import ingest

NUMBERS = [101, 7, 2]
WRITTEN = {
    "integers": pl.Series(NUMBERS),
    "small integers": pl.Series(NUMBERS, dtype=pl.UInt8),
    "floats": pl.Series(NUMBERS, dtype=pl.Float64),
    "short floats": pl.Series(NUMBERS, dtype=pl.Float32),
    "decimals": pl.Series([Decimal(f"{number}.00") for number in NUMBERS]),
    "text": pl.Series([str(number) for number in NUMBERS]),
    "text of floats": pl.Series([f"{number}.0" for number in NUMBERS]),
    "categories": pl.Series([f"{number}.0" for number in NUMBERS], dtype=pl.Categorical),
}


def ids_of(path):
    return pl.concat(tables.interactions(path))["item"].to_list()


@pytest.mark.parametrize("column", WRITTEN.values(), ids=WRITTEN)
def test_a_number_is_the_same_id_whatever_wrote_it(tmp_path, column):
    table = pl.DataFrame({"user": ["u"] * 3, "item": column, "timestamp": [1, 2, 3]})
    table.write_parquet(tmp_path / "a.parquet")
    table.write_csv(tmp_path / "a.csv")
    table.write_csv(tmp_path / "b.csv", quote_style="always")
    table.write_csv(tmp_path / "a.tsv", separator="\t")
    table.rename({"item": "item_id"}).with_columns(title=pl.lit("x")).write_csv(tmp_path / "items.csv")
    for name in ("a.parquet", "a.csv", "b.csv", "a.tsv"):
        assert ids_of(tmp_path / name) == ["101", "7", "2"], name
    assert pl.concat(tables.items(tmp_path / "items.csv", ["title"]))["item_id"].to_list() == ["101", "7", "2"]


@pytest.mark.parametrize(
    "ids",
    [
        ["1.0", "1", "v2"],  # versions: a third of the ids are no numbers
        ["007", "7", "07"],
        ["A1", "a1", " A1"],
        ["1.5", "2.25", "3"],
        ["caf\u00e9", "cafe\u0301", "cafe"],
    ],
)
def test_ids_that_may_differ_by_intent_stay_as_they_are(tmp_path, ids):
    pl.DataFrame({"user": ["u"] * 3, "item": ids, "timestamp": [1, 2, 3]}).write_csv(tmp_path / "a.csv")
    assert ids_of(tmp_path / "a.csv") == ids


def test_floats_that_lost_digits_are_malformed(tmp_path):
    pl.DataFrame({"user": ["u"], "item": [float(2**53)], "timestamp": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ParseError, match="no item"):
        ids_of(tmp_path / "a.parquet")


def test_decimals_far_behind_other_ids_are_found(tmp_path):
    ids = [str(number) for number in range(200_000)] + ["5.0"]
    pl.DataFrame({"user": "u", "item": ids, "timestamp": 1}).write_csv(tmp_path / "a.csv")
    assert ids_of(tmp_path / "a.csv")[-1] == "5"


@pytest.mark.parametrize(
    ("own", "other", "difference"),
    [
        ("007", "7", "leading zeros"),
        (" A1", "A1", "white space"),
        ("\ufeffA1", "A1", "white space"),
        ("a1", "A1", "case"),
        ("caf\u00e9", "cafe\u0301", "Unicode form"),
        ("101.0", "101", "decimals"),
        ("1,234,567", "1234567", "thousands separators"),
        ("0A1 ", "a1", "white space, case, leading zeros"),
    ],
)
def test_a_near_miss_names_the_difference(own, other, difference):
    assert near_misses(pl.Series([own]), pl.Series(["x", other])) == [f"{own!r} and {other!r} ({difference})"]


def test_items_without_a_description_are_counted_with_examples_of_both_sides(caplog):
    acted, described = pl.Series(["a", "b", "c", "d", "007"]), pl.Series(["a", "x", "y", "z", "w", "7"])
    with caplog.at_level(logging.WARNING):
        check_described(acted, described, "interactions.csv", "items.csv")
    assert "4 of 5 items have no description, such as '007', 'b', 'c'" in caplog.text
    assert "items.csv has 5 ids without interactions, such as '7', 'w', 'x'" in caplog.text
    assert "'007' and '7' (leading zeros)" in caplog.text


def test_no_description_at_all_is_an_error_that_leaves_no_table(tmp_path):
    (tmp_path / "i.csv").write_text("user,item,timestamp\nu,a1,1\nu,b,2\n")
    (tmp_path / "t.csv").write_text("item_id,title\nA1,x\nQ,y\n")
    with pytest.raises(DataError, match="No item of the interactions has a description") as caught:
        ingest("table", tmp_path / "i.csv", tmp_path / "t.csv", ["title"], tmp_path / "out")
    for part in ("2 of 2", "'a1', 'b'", "'A1', 'Q'", "'a1' and 'A1' (case)"):
        assert part in str(caught.value)
    assert not (tmp_path / "out" / "interactions.parquet").exists()


def test_the_smallest_case_of_the_report_meets(tmp_path, caplog):
    (tmp_path / "i.csv").write_text("user,item,timestamp\nu,101.0,1\n")
    (tmp_path / "t.csv").write_text("item_id,title\n101,x\n")
    ingest("table", tmp_path / "i.csv", tmp_path / "t.csv", ["title"], tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "interactions.parquet")["item"].to_list() == ["101"]
    assert "no description" not in caplog.text
