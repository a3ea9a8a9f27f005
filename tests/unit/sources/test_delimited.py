import logging
import time

import polars as pl
import pytest

from mmsrec.errors import ParseError
from mmsrec.sources import amazon, tables
from mmsrec.sources.times import DAY, watch_future

ROWS = 200


def catalogue(tmp_path, **changes):
    """A table of items 0 to 199 with some lines replaced; the key is the id, as in `_5`."""
    lines = [changes.get(f"_{number}", f"{number},t{number},m{number}") for number in range(ROWS)]
    path = tmp_path / "items.csv"
    path.write_text("item_id,title,maker\n" + "\n".join(lines) + "\n")
    return path


def read_items(path):
    return pl.concat(tables.items(path, ["title"]))


@pytest.mark.parametrize(
    "changes",
    [
        {"_5": '5,"t5,m5', "_190": '190,"t190,m190'},  # closed by the next opening mark
        {"_5": '5,"t5,m5', "_190": '190,t190",m190'},  # closed where a row ends, as valid CSV
        {"_5": '5,"t5,m5', "_190": '190,t190,m190"'},  # closed in another column
        {"_5": '5,"t5,m5'},  # never closed
    ],
)
def test_a_missing_quotation_mark_swallows_no_rows_in_silence(tmp_path, changes):
    with pytest.raises(ParseError, match="malformed") as caught:
        read_items(catalogue(tmp_path, **changes))
    assert "lines 7 to" in str(caught.value)
    assert "Delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"_5": '5,"t5" x,m5'}, "',' expected after"),
        ({"_5": '5,"t5,m5', "_6": '6,t6",m6'}, "a quoted value holds rows"),
        ({"_5": '"5\n",t5,m5'}, "a line break in the id"),
        ({"_5": '5,"t5",m5,more'}, "4 fields, not 3"),
        ({"_5": "5,t5"}, "2 fields, not 3"),
        ({"_5": "item_id,title,maker"}, "the header again"),
    ],
)
def test_a_broken_row_is_left_out_and_named(tmp_path, caplog, changes, reason):
    with caplog.at_level(logging.WARNING):
        found = read_items(catalogue(tmp_path, **changes))
    assert found.height == ROWS - len(changes)
    assert f"{len(changes)} of {ROWS} rows" in caplog.text
    assert reason in caplog.text


def test_texts_of_several_lines_are_read(tmp_path):
    text = "A soap, made by hand.\nIt smells of roses, and it floats.\n\nKeep it dry, please."
    quoted = f'5,"{text}",m5'
    found = read_items(catalogue(tmp_path, _5=quoted))
    assert found.height == ROWS
    assert found["title"][5] == " ".join(text.split())


def test_the_quoted_and_the_plain_reader_agree(tmp_path):
    plain = catalogue(tmp_path)
    expected = read_items(plain).rows()
    for text in (plain.read_text().replace("t3,", '"t3",'), "\ufeff" + plain.read_text().replace("\n", "\r\n")):
        plain.write_bytes(text.encode())
        assert read_items(plain).rows() == expected


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ('"1,404,172,800"', "thousands separators"),
        ("1.404.172.800", "thousands separators"),
        ('"1404172800,5"', "decimal comma"),
        ("1404172800000", "milliseconds"),
        ("-5", "before 1970"),
        ("", "no time"),
        ("yesterday", "no time that can be read"),
    ],
)
def test_a_wrong_time_says_what_it_looks_like(tmp_path, stamp, reason):
    path = tmp_path / "a.csv"
    path.write_text(f"user,item,timestamp\nu,i,{stamp}\n")
    with pytest.raises(ParseError, match=reason):
        pl.concat(tables.interactions(path))


def test_milliseconds_in_ratings_are_refused(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("u,i,5.0,1404172800000\n")
    with pytest.raises(ParseError, match="a time in milliseconds"):
        pl.concat(amazon.interactions(path))


@pytest.mark.parametrize("row", [b"u,i,1,caf\xe9\n", b"u,\xff,1,a,b\n"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_bytes_that_are_no_utf_8_are_an_error_in_any_column_and_row(tmp_path, capfd, row, suffix):
    """Arrow decodes the requested columns alone, and prints a traceback for a row of another width."""
    path = tmp_path / f"a{suffix}"
    rows = b"user,item,timestamp,note\n" + b"u,i,1,a\n" * 3000 + row
    path.write_bytes(rows.replace(b",", b"\t") if suffix == ".tsv" else rows)
    with pytest.raises(ParseError, match="codec can't decode"):
        pl.concat(tables.interactions(path))
    assert not capfd.readouterr().err


def test_a_byte_order_mark_is_no_part_of_the_first_user(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"\xef\xbb\xbfu,i,5.0,1\n")
    assert pl.concat(amazon.interactions(path)).rows() == [("u", "i", 1)]


def test_days_in_the_future_are_reported_and_kept(caplog):
    now = int(time.time())
    frame = pl.DataFrame({"timestamp": [1, now + DAY - 60, now + DAY + 60, now + 9 * DAY]})
    with caplog.at_level(logging.WARNING):
        assert pl.concat(watch_future(iter([frame]), "actions.csv")).height == 4
    assert "actions.csv: 2 interactions are in the future" in caplog.text
