"""Regular blocks of lines are read by polars, and give the rows of the reader that looks at every line."""

import io
import random

import polars as pl
import pytest

from mmsrec.sources import lines

COLUMNS = ("user", "item", "rating", "timestamp")
GOOD = [b"ann,pen,5.0,1", b'"b,i"2,4,', b" c , d,,7", "dé,ü,1,2".encode(), b"#e,NA,null,0"]
BAD = [
    b"",
    b"   ",
    b"a,b,c",
    b"a,b,c,d,e",
    b"a,b,c,",
    b"f,g,h,i\r",
    b"f,g\r,h,i",
    b"\xff,b,c,d",
    b"\xef\xbf\xbd,b,c,d",
    b"x",
]
BAD += [b"\xef\xbb\xbfa,b,c,d", b"a\x00,b,c,d", b"'a,b',c,d,e"]


def rows(text, encoding="utf-8", separator=","):
    frames = list(lines.read_rows(io.BytesIO(text), "a.csv", separator, encoding, COLUMNS))
    return pl.concat(frames).rows() if frames else []


def by_line(monkeypatch, *arguments):
    """The rows of the reader that looks at every line."""
    with monkeypatch.context() as patch:
        patch.setattr(lines, "_regular", lambda *_: None)
        return rows(*arguments)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_both_readers_agree(monkeypatch, share, end):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 200)
    draw = random.Random(7)
    for _ in range(60):
        drawn = [draw.choice(BAD if draw.random() < share else GOOD) for _ in range(draw.randrange(30))]
        text = b"\n".join(drawn) + end
        assert rows(text) == by_line(monkeypatch, text)


def test_regular_lines_are_not_looked_at_one_by_one(monkeypatch):
    monkeypatch.setattr(lines, "_split", None)
    assert rows(b"\xef\xbb\xbfann,pen,5.0,1\nbob,cup,1.0,2\n") == [
        (1, "ann", "pen", "5.0", "1"),
        (2, "bob", "cup", "1.0", "2"),
    ]


@pytest.mark.parametrize(("encoding", "separator"), [("iso-8859-1", ","), ("utf-8", "::")])
def test_other_files_are(monkeypatch, encoding, separator):
    monkeypatch.setattr(lines, "_split", lambda *_: pl.DataFrame({"line": [1]}))
    assert rows(separator.join("abcd").encode(), encoding, separator) == [(1,)]
