import contextlib
import logging
import random
from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest

from mmsrec.errors import DataError, ParseError
from mmsrec.sources import tables

HEADER = "user,item,timestamp\n"


@pytest.fixture
def csv_file(tmp_path):
    def to_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


@pytest.fixture
def parquet_file(tmp_path):
    def to_file(**columns):
        path = tmp_path / "table.parquet"
        pl.DataFrame(columns).write_parquet(path)
        return path

    return to_file


def read(frames):
    return pl.concat(frames)


def test_a_csv_file_is_read_whatever_its_column_order_and_quoting(csv_file):
    path = csv_file('\ufeffshop,timestamp,"item",user\r\n"x\ny",3,"a ""big"", red comb",u1\r\n"x,y",1,i2,u2\n')
    assert read(tables.interactions(path)).rows() == [("u1", 'a "big", red comb', 3), ("u2", "i2", 1)]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1404172800", datetime(2014, 7, 1, tzinfo=UTC)),
        ("1404172800.9", datetime(2014, 7, 1, tzinfo=UTC)),
        ("2014-07-01", datetime(2014, 7, 1, tzinfo=UTC)),
        ("2014-07-01 10:20", datetime(2014, 7, 1, 10, 20, tzinfo=UTC)),
        ("2014-07-01T10:20:30", datetime(2014, 7, 1, 10, 20, 30, tzinfo=UTC)),
        ("2014-07-01T10:20:30.123456Z", datetime(2014, 7, 1, 10, 20, 30, tzinfo=UTC)),
        ("2014-07-01 10:20:30+02:00", datetime(2014, 7, 1, 8, 20, 30, tzinfo=UTC)),
        ("2014-07-01T10:20-0530", datetime(2014, 7, 1, 15, 50, tzinfo=UTC)),
    ],
)
def test_timestamps_are_seconds_or_iso_dates(csv_file, text, moment):
    path = csv_file(f"{HEADER}u,i,{text}\n")
    assert read(tables.interactions(path))["timestamp"].to_list() == [int(moment.timestamp())]


def test_parquet_timestamps_may_have_any_time_type(parquet_file):
    moment = datetime(2014, 7, 1, 10, 20, 30, tzinfo=timezone(timedelta(hours=2)))
    seconds = int(moment.timestamp())
    for times, expected in (
        (pl.Series([moment]).dt.convert_time_zone("Asia/Tokyo"), seconds),
        (pl.Series([moment.astimezone(UTC).replace(tzinfo=None)]).cast(pl.Datetime("ns")), seconds),
        (pl.Series([date(2014, 7, 1)]), 1404172800),
        (pl.Series([seconds], dtype=pl.UInt32), seconds),
        (pl.Series([float(seconds)]), seconds),
        (pl.Series([str(seconds)]), seconds),
    ):
        path = parquet_file(user=[1], item=["i"], timestamp=times)
        assert read(tables.interactions(path)).rows() == [("1", "i", expected)]


def test_malformed_rows_are_counted_and_shown(csv_file, caplog):
    wrong = ["u,i", "u,i,1,1", ",i,1", "u,,1", "u,i,yesterday", "u,i,2014-02-30", "u,i,nan", "u,i,-1"]
    path = csv_file(HEADER + "u,i,1\n" * 1000 + "\n".join(wrong) + "\n")
    with caplog.at_level(logging.WARNING):
        assert read(tables.interactions(path)).rows() == [("u", "i", 1)] * 1000
    assert "8 of 1,008 rows" in caplog.text
    assert "'u,i,1,1'" in caplog.text


def test_milliseconds_are_refused(csv_file):
    path = csv_file(f"{HEADER}u,i,1404172800000\n")
    with pytest.raises(ParseError, match="seconds since 1970"):
        read(tables.interactions(path))


def test_items_take_their_text_from_the_named_columns(csv_file):
    path = csv_file("item_id,colour,title,size,media_url\n1,red,Soap,,http://img.example/1\n2,,, big,\n3,,,,\n")
    assert read(tables.items(path, ["title", "colour", "size"])).rows() == [
        ("1", "Soap", "Soap. red", "http://img.example/1"),
        ("2", None, "big", None),
        ("3", None, None, None),
    ]


def test_parquet_items_may_have_numbers_and_lists(parquet_file):
    path = parquet_file(item_id=[7, None, 8], title=["Soap", "Lost", None], tags=[["a", "b"], [], None], year=[1, 2, 3])
    with pytest.raises(ParseError, match="an empty item_id"):
        read(tables.items(path, ["title"]))
    path = parquet_file(item_id=[7, 8], title=["Soap", None], tags=[["a", "b"], []], year=[1999, None])
    assert read(tables.items(path, ["title", "tags", "year"])).rows() == [
        ("7", "Soap", "Soap. a, b. 1999", None),
        ("8", None, None, None),
    ]


def test_the_error_for_missing_columns_names_them(csv_file):
    path = csv_file("item_id,name\n1,Soap\n")
    with pytest.raises(DataError, match="among name"):
        read(tables.items(path, ["title"]))
    with pytest.raises(ParseError, match="lacks a column") as caught:
        read(tables.items(path, ["name"]))
    assert "expected: title" in str(caught.value)
    with pytest.raises(ParseError, match="expected: user, item, timestamp"):
        read(tables.interactions(path))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("table.csv", b"", "no columns|lacks a column"),
        ("table.csv", HEADER.encode(), "no rows"),
        ("table.csv", HEADER.encode() + b"u\xff,i,1\n", "cannot be read"),
        ("table.csv", b"\xff\xfeu\x00", "cannot be read"),
        ("table.csv", HEADER.encode() + b'u,"never closed,1\n' + b"u,i,1\n" * 9, "malformed|cannot be read"),
        ("table.parquet", b"PAR1 not", "cannot be read"),
        ("table.xlsx", b"PK", "unknown format"),
    ],
)
def test_a_file_that_is_no_table_is_a_parse_error(csv_file, name, data, message):
    with pytest.raises(ParseError, match=message):
        read(tables.interactions(csv_file(data, name)))


def test_a_column_of_another_type_is_a_parse_error(parquet_file):
    for times in ([[1]], [True], [{"a": 1}], [b"1"], [timedelta(1)]):
        with pytest.raises(ParseError, match=r"no time|type struct"):
            read(tables.interactions(parquet_file(user=["u"], item=["i"], timestamp=times)))


def test_a_damaged_parquet_file_is_a_parse_error(parquet_file):
    path = parquet_file(user=["u"] * 5000, item=["i"] * 5000, timestamp=range(5000))
    whole = path.read_bytes()
    generator = random.Random(1)
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[generator.randrange(len(whole))] = generator.randrange(256)
        path.write_bytes(damaged[: generator.randrange(len(whole) // 2, len(whole) + 1)])
        with contextlib.suppress(ParseError):
            read(tables.interactions(path))


def test_large_tables_are_read_in_parts_and_in_order(csv_file):
    rows = [(f"u{number % 977}", f"item-{number % 1009}", number) for number in range(700_000)]
    path = csv_file(HEADER + "".join(f"{user},{item},{time}\n" for user, item, time in rows))
    frames = list(tables.interactions(path))
    assert len(frames) > 1
    assert read(frames).rows() == rows
