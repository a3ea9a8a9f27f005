import gzip
import html
import json
import logging
import random

import polars as pl
import pytest

from mmsrec.errors import DataError, ParseError
from mmsrec.sources import amazon_2018
from mmsrec.sources.gzip_lines import LONGEST_LINE

FIELDS = ["title", "category", "brand"]


def read(frames):
    return pl.concat(frames)


@pytest.fixture
def write(tmp_path):
    def to_file(*lines):
        path = tmp_path / "lines.json.gz"
        encoded = (line if isinstance(line, bytes) else line.encode() for line in lines)
        path.write_bytes(gzip.compress(b"\n".join(encoded) + b"\n", 1))
        return path

    return to_file


def review(user, item, time, **further):
    return json.dumps({"overall": 5.0, "reviewerID": user, "asin": item, "unixReviewTime": time, **further})


def item(asin, **fields):
    return json.dumps({"asin": asin, "also_buy": [], **fields})


def reviews(count, start=0):
    return [review(f"A{number}", "B1", number) for number in range(start, start + count)]


def fine(count, start=0):
    return [item(f"B{number:09}", title=f"Soap {number}") for number in range(start, start + count)]


def test_reviews_are_read_in_the_order_of_the_file(write):
    generator = random.Random(5)
    rows = [(f"A{generator.randrange(10**9)}", f"B{number:09}", generator.randrange(2**31)) for number in range(30_000)]
    path = write(*(review(*row, reviewText="fine " * 40, vote="2", style={"Size:": " L"}) for row in rows))
    frame = read(amazon_2018.interactions(path))
    assert frame.rows() == rows
    assert frame.schema == {"user": pl.String, "item": pl.String, "timestamp": pl.Int64}


def test_repeated_reviews_are_left_out_and_counted(write, caplog):
    rows = [("A1", "B1", 1), ("A1", "B1", 2), ("A1", "B1", 1), ("A2", "B1", 1), ("A1", "B2", 1), ("A1", "B1", 1)]
    with caplog.at_level(logging.WARNING):
        frame = read(amazon_2018.interactions(write(*(review(*row) for row in rows))))
    assert frame.rows() == [("A1", "B1", 1), ("A1", "B1", 2), ("A2", "B1", 1), ("A1", "B2", 1)]
    assert "left out 2 repeated reviews" in caplog.text


def test_fields_become_title_text_and_media_url(write):
    path = write(
        item(
            "B1",
            title=" Soap &amp;\n Brush ",
            category=["Beauty", "Bath, Body", "Beauty"],
            brand="by\n\n    Acme",
            description=["Soft.", "", "It&#39;s new"],
            imageURL=["https://img.example/1._SS40_.jpg"],
            imageURLHighRes=["https://img.example/1.jpg", "https://img.example/2.jpg"],
            details={"Weight:": "4 ounces"},
        ),
        item("B2", title="Comb", description=[], category=[], brand="", imageURL=[], imageURLHighRes=[]),
        item("B3"),
        item("B4", title="var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();", brand="Acme"),
        item("B5", title=None, description="One", imageURLHighRes="https://img.example/5.jpg"),
        '{"asin": "B6", "title": "Cr\\u00e8me \\ud83d\\ude00 \\ud83d"}',
        '{"asin": "B7", "title": "Crème", "price": NaN}',
    )
    frame = read(amazon_2018.items(path, FIELDS))
    assert frame.columns == ["item_id", "title", "text", "media_url"]
    assert frame.rows() == [
        ("B1", "Soap & Brush", "Soap & Brush. Beauty, Bath, Body. by Acme", "https://img.example/1.jpg"),
        ("B2", "Comb", "Comb", None),
        ("B3", None, None, None),
        ("B4", None, "Acme", None),
        ("B5", None, None, "https://img.example/5.jpg"),
        ("B6", "Crème 😀 \ufffd", "Crème 😀 \ufffd", None),
        ("B7", "Crème", "Crème", None),
    ]
    described = read(amazon_2018.items(path, ["description"]))["text"].to_list()
    assert described == ["Soft. It's new", None, None, None, "One", None, None]


def test_attributes_are_the_brand_and_the_categories(write):
    path = write(
        item("B1", category=["Beauty", "Bath &amp; Body", "Soap"], brand="Acme"),
        item("B2", category=[], brand=""),
        item("B3", category=["Beauty"], title="Comb"),
        *fine(200),
        item("B4", category="Beauty"),
    )
    frame = read(amazon_2018.attributes(path))
    assert frame.rows()[:3] == [
        ("B1", ["brand=Acme", "category=Beauty", "category=Bath & Body", "category=Soap"]),
        ("B2", []),
        ("B3", ["category=Beauty"]),
    ]
    assert frame.height == 203
    below = read(amazon_2018.attributes(path, drop_first=True))["attributes"].to_list()[:3]
    assert below == [["brand=Acme", "category=Bath & Body", "category=Soap"], [], []]


def test_an_unknown_text_field_names_the_known_ones(write):
    with pytest.raises(DataError, match="title, description, brand, category"):
        read(amazon_2018.items(write(*fine(1)), ["title", "categories"]))


HOSTILE = [
    "{'asin': 'B', 'title': 'a literal of Python'}",
    "__import__('os').system('touch hacked')",
    "[" * 100_000,
    '{"asin":' * 50_000,
    '{"asin": "B", "title": ' + "9" * 100_000 + "}",
    '{"asin": "B", "title": "' + "x" * 3_000_000 + '"}',
    '{"asin": "B", "title": "never closed',
    '{"asin": "B"} {"asin": "C"}',
    '{"asin": "B", "title": {"a": 1}}',
    '{"asin": "B", "title": 7}',
    '{"asin": "B", "imageURLHighRes": [7]}',
    '{"asin": "B", "imageURLHighRes": {"0": "https://img.example/1.jpg"}}',
    '{"asin": 17, "title": "number"}',
    '{"asin": "", "title": "nothing"}',
    '{"asin": "\\ud800"}',
    '{"title": "no asin"}',
    '["asin", "B"]',
    "null",
    "NaN",
    "\x00",
    b'{"asin": "B", "title": "\xff\xfe"}',
    b"\xef\xbb\xbf" + b'{"asin": "B"}',
]
HOSTILE_REVIEWS = [
    *(line for line in HOSTILE if isinstance(line, str)),
    review("A1", "B1", "1"),
    review("A1", "B1", 1.5),
    review("A1", "B1", True),
    review("A1", "B1", 2**70),
    review("A1", "B1", None),
    review("", "B1", 1),
    review("A\u00e9", "B1", 1),
    review("A1", None, 1),
    json.dumps({"reviewerID": "A1", "asin": "B1"}),
]


def test_hostile_lines_are_counted_and_never_run(write, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(*fine(1000), *HOSTILE, "", *fine(2000, start=1000))
    with caplog.at_level(logging.WARNING):
        frame = read(amazon_2018.items(path, FIELDS))
    assert frame.height == 3000
    assert f"{len(HOSTILE)} of {3000 + len(HOSTILE):,} rows, first line 1001, line 1002" in caplog.text
    assert not (tmp_path / "hacked").exists()


def test_hostile_reviews_are_counted(write, caplog):
    path = write(*reviews(1000), *HOSTILE_REVIEWS, "", *reviews(3000, start=1000))
    with caplog.at_level(logging.WARNING):
        frame = read(amazon_2018.interactions(path))
    assert frame.height == 4000
    assert f"{len(HOSTILE_REVIEWS)} of {4000 + len(HOSTILE_REVIEWS):,} rows, first line 1001" in caplog.text


@pytest.mark.parametrize(
    ("kind", "good"), [(amazon_2018.interactions, reviews), (lambda path: amazon_2018.items(path, FIELDS), fine)]
)
def test_more_than_one_percent_of_malformed_lines_and_no_lines_are_errors(write, kind, good):
    with pytest.raises(ParseError, match="More than 1%") as caught:
        read(kind(write(*good(98), "{", *good(1, start=98), "}")))
    assert "2 of 101 rows, first line 99, line 101" in str(caught.value)
    with pytest.raises(ParseError, match="no rows"):
        read(kind(write("")))


@pytest.mark.parametrize(
    ("kind", "good"), [(amazon_2018.interactions, reviews), (lambda path: amazon_2018.items(path, FIELDS), fine)]
)
def test_a_damaged_file_is_an_error(write, kind, good):
    path = write(*good(20_000))
    whole = path.read_bytes()
    path.write_bytes(whole[:-4_000])
    with pytest.raises(ParseError, match="truncated") as caught:
        read(kind(path))
    assert "after line" in str(caught.value)
    for data in (b'{"asin": "B1"}\n', whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]):
        path.write_bytes(data)
        with pytest.raises(ParseError, match="damaged or no gzip file"):
            read(kind(path))


def test_a_line_of_the_greatest_length_is_whole(write):
    longest = item("B1", title="x")
    longest = longest[:-2] + "x" * (LONGEST_LINE - 2 - len(longest)) + longest[-2:]
    rows = read(amazon_2018.items(write(longest, *fine(200)), ["title"]))
    assert rows.height == 201
    assert len(rows["title"][0]) == len(json.loads(longest)["title"])


def test_many_items_match_a_slow_reader(write):
    generator = random.Random(11)
    words = ["soap", "&amp;", "brush", "  ", "caf\u00e9", "\t", "100%", "\\", "'", '"']
    rows = [
        {"asin": f"B{number}", "title": " ".join(generator.choices(words, k=9)), "description": ["d" * number]}
        for number in range(6000)
    ]
    frames = list(amazon_2018.items(write(*map(json.dumps, rows)), ["title", "description"]))
    assert len(frames) > 1
    expected = [" ".join(html.unescape(row["title"]).split()) for row in rows]
    assert read(frames)["title"].to_list() == expected
    assert read(frames)["item_id"].to_list() == [row["asin"] for row in rows]
    assert read(frames)["text"][17] == f"{expected[17]}. {'d' * 17}"
