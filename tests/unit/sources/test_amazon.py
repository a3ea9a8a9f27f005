import gzip
import html
import logging
import random

import polars as pl
import pytest

from mmsrec.errors import DataError, ParseError
from mmsrec.sources import amazon

FIELDS = ["title", "description"]


def read(frames):
    return pl.concat(frames)


@pytest.fixture
def ratings(tmp_path):
    def to_file(data):
        path = tmp_path / "ratings.csv"
        path.write_bytes(data)
        return path

    return to_file


@pytest.fixture
def metadata(tmp_path):
    def to_file(*lines):
        path = tmp_path / "meta.json.gz"
        encoded = (line if isinstance(line, bytes) else line.encode() for line in lines)
        path.write_bytes(gzip.compress(b"\n".join(encoded) + b"\n"))
        return path

    return to_file


def fine(count, start=0):
    return [repr({"asin": f"B{number:09}", "title": f"Soap {number}"}) for number in range(start, start + count)]


def test_ratings_are_read_in_the_order_of_the_file(ratings):
    generator = random.Random(5)
    rows = [
        (f"U{generator.randrange(10**9)}", f"B{generator.randrange(10**9):010}", generator.randrange(2**31))
        for _ in range(200_000)
    ]
    path = ratings("".join(f"{user},{item},5.0,{time}\n" for user, item, time in rows).encode())
    frames = list(amazon.interactions(path))
    assert len(frames) > 1
    assert read(frames).rows() == rows
    assert read(frames).schema == {"user": pl.String, "item": pl.String, "timestamp": pl.Int64}


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\n\n"])
def test_line_ends_do_not_matter(ratings, ending):
    path = ratings(b"u1,i1,5.0,1\r\n\nu2,i2,5.0,2" + ending)
    assert read(amazon.interactions(path)).rows() == [("u1", "i1", 1), ("u2", "i2", 2)]


def test_malformed_ratings_are_counted_and_left_out(ratings, caplog):
    wrong = [
        b"u,i,5.0",
        b"u,i,5.0,1,1",
        b",i,5.0,1",
        b"u,,5.0,1",
        b"u,i,5.0,yesterday",
        b"u,i,5.0,1.5",
        b"u,i,5.0,",
        b"u\xff,i,5.0,1",
        b"\x00",
        b"u,i,5.0,99999999999999999999",
    ]
    lines = [b"u,i,5.0,1"] * 1000
    for place, line in enumerate(wrong):
        lines[place * 10 + 2] = line
    with caplog.at_level(logging.WARNING):
        frame = read(amazon.interactions(ratings(b"\n".join(lines))))
    assert frame.rows() == [("u", "i", 1)] * 990
    assert "10 of 1,000 rows" in caplog.text
    assert "line 3, line 13, line 23" in caplog.text


def test_more_than_one_percent_of_malformed_ratings_is_an_error(ratings):
    path = ratings(b"u,i,5.0,1\n" * 989 + b"u;i;5.0;1\n" * 11)
    with pytest.raises(ParseError, match="More than 1%") as caught:
        read(amazon.interactions(path))
    for part in (str(path), "USER,ITEM,RATING,UNIX_TIME", "11 of 1,000 rows", "line 990"):
        assert part in str(caught.value)


def test_an_empty_file_is_an_error(ratings, metadata):
    with pytest.raises(ParseError, match="no rows"):
        read(amazon.interactions(ratings(b"")))
    with pytest.raises(ParseError, match="no rows"):
        read(amazon.items(metadata(), FIELDS))


def test_an_endless_line_is_refused(ratings):
    with pytest.raises(ParseError, match="too long"):
        read(amazon.interactions(ratings(b"x" * (20 << 20))))


def test_fields_become_title_text_and_media_url(metadata):
    path = metadata(
        """{'asin': 'B1', 'title': '  Soap &amp;\\n Brush ', 'description': 'Soft.  It\\'s &quot;new&quot;',
        'imUrl': 'http://img.example/1.jpg', 'price': 3.5, 'related': {'also_bought': ['B2']}}""".replace("\n", " "),
        "{'asin': 'B2', 'title': 'Comb'}",
        "{'asin': 'B3', 'description': ['One', 'two'], 'title': None}",
        "{'asin': 'B4', 'title': ' ', 'imUrl': ''}",
        "{'asin': 'B5', 'title': 'Cr\\xe8me \\ud83d\\ude00 \\ud83d'}",
        "{'asin': 'B6', 'title': 'Crème'}",
    )
    frame = read(amazon.items(path, FIELDS))
    assert frame.columns == ["item_id", "title", "text", "media_url"]
    assert frame.rows() == [
        ("B1", "Soap & Brush", 'Soap & Brush. Soft. It\'s "new"', "http://img.example/1.jpg"),
        ("B2", "Comb", "Comb", None),
        ("B3", None, "One two", None),
        ("B4", None, None, None),
        ("B5", "Crème 😀 \ufffd", "Crème 😀 \ufffd", None),
        ("B6", "Crème", "Crème", None),
    ]


@pytest.mark.parametrize(
    "related",
    [
        {},
        {"also_bought": []},
        {"also_bought": ["B000000001", "B000000002"], "bought_together": ["B000000003"]},
        {"also_bought": [["B000000001"]]},
        {"odd": "it's } not a list"},
        [],
    ],
)
def test_related_items_are_ignored_at_any_place(metadata, related):
    about = "See 'related': {below} and 'related': {'a': 1}"
    path = metadata(
        repr({"related": related, "asin": "B1", "title": "Soap", "description": about}),
        repr({"asin": "B2", "title": "Soap", "description": about, "related": related}),
    )
    assert read(amazon.items(path, FIELDS))["text"].to_list() == [f"Soap. {about}"] * 2


def test_text_fields_are_joined_in_the_given_order(metadata):
    path = metadata(
        "{'asin': 'B1', 'title': 'Soap.', 'brand': 'Acme', "
        "'categories': [['Beauty', 'Bath, Body'], ['Beauty', 'Gifts &amp; Sets']]}"
    )
    assert read(amazon.items(path, ["categories", "title", "brand"]))["text"].to_list() == [
        "Beauty, Bath, Body, Gifts & Sets. Soap. Acme"
    ]


def test_an_unknown_text_field_names_the_known_ones(metadata):
    with pytest.raises(DataError, match="title, description, brand, categories"):
        read(amazon.items(metadata(*fine(1)), ["title", "reviews"]))


HOSTILE = [
    "__import__('os').system('touch hacked')",
    "{'asin': __import__('os').getcwd()}",
    "{'asin': 'B', 'title': 2 ** 999999999}",
    "{'asin': 'B', 'title': 'a' * 10 ** 12}",
    "[" * 100_000,
    "{'a':" * 5_000,
    "-" * 100_000 + "1",
    "{'asin': 'B', 'title': " + "1+" * 50_000 + "1}",
    "{'asin': 'B', 'title': " + "9" * 100_000 + "}",
    "{'asin': 'B', 'title': '" + "x" * 3_000_000 + "'}",
    "{'asin': 'B', 'title': 'never closed",
    "{'asin': 'B', 'title': {'a': 1}}",
    "{'asin': 'B', 'title': b'bytes'}",
    "{'asin': 17, 'title': 'number'}",
    "{'asin': '', 'title': 'nothing'}",
    "{'asin': '\\ud800'}",
    "{'title': 'no asin'}",
    "['asin', 'B']",
    "null",
    "\x00",
    b"{'asin': 'B', 'title': '\xff\xfe'}",
]


def test_hostile_lines_are_counted_and_never_run(metadata, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = metadata(*fine(1000), *HOSTILE, "", *fine(2000, start=1000))
    with caplog.at_level(logging.WARNING):
        frame = read(amazon.items(path, FIELDS))
    assert frame.height == 3000
    assert f"{len(HOSTILE)} of {3000 + len(HOSTILE):,} rows, first line 1001, line 1002" in caplog.text
    assert not (tmp_path / "hacked").exists()


def test_more_than_one_percent_of_malformed_metadata_is_an_error(metadata):
    with pytest.raises(ParseError, match="More than 1%") as caught:
        read(amazon.items(metadata(*fine(98), "{", *fine(1, start=98), "}"), FIELDS))
    assert "2 of 101 rows, first line 99, line 101" in str(caught.value)


def test_a_truncated_gzip_file_is_an_error(metadata):
    path = metadata(*fine(20_000))
    path.write_bytes(path.read_bytes()[:-4_000])
    with pytest.raises(ParseError, match="truncated") as caught:
        read(amazon.items(path, FIELDS))
    assert "after line" in str(caught.value)


def test_a_file_without_gzip_format_is_an_error(tmp_path):
    path = tmp_path / "meta.json.gz"
    wrong_checksum = bytearray(gzip.compress(b"{'asin': 'B1'}\n" * 99))
    wrong_checksum[-8] ^= 1
    for data in (b"{'asin': 'B1'}\n", wrong_checksum):
        path.write_bytes(data)
        with pytest.raises(ParseError, match="damaged or no gzip file"):
            read(amazon.items(path, FIELDS))


def test_many_items_match_a_slow_reader(metadata):
    generator = random.Random(11)
    words = ["soap", "&amp;", "brush", "  ", "caf\u00e9", "\t", "100%", "\\", "'", '"']
    rows = [
        {"asin": f"B{number}", "title": " ".join(generator.choices(words, k=9)), "description": "d" * number}
        for number in range(6000)
    ]
    frames = list(amazon.items(metadata(*map(repr, rows)), FIELDS))
    assert len(frames) > 1
    expected = [" ".join(html.unescape(row["title"]).split()) for row in rows]
    assert read(frames)["title"].to_list() == expected
    assert read(frames)["item_id"].to_list() == [row["asin"] for row in rows]
    assert read(frames)["text"][17] == f"{expected[17]}. {'d' * 17}"
