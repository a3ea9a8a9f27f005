"""The items of a catalogue: those that a k-core lacks, whatever table the shop exports."""

import logging

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, DataError, ParseError
from mmsrec.sources.new_items import ingest_items

OLD = ["a1", "a2"]


@pytest.fixture
def read(tmp_path):
    """Reads a raw table, given as text or bytes, and returns the new items."""
    known = tmp_path / "known.parquet"
    ids = pl.DataFrame({"item_id": OLD}).with_row_index("item_index")
    empty = ids.with_columns(pl.lit(None, pl.String).alias(name) for name in ("title", "text", "media_url"))
    write_table(known, empty.to_arrow(), SCHEMAS["items"])

    def ingested(content, *texts, fields=("title",), name="today.csv"):
        raw, output = tmp_path / name, tmp_path / "out" / "items.parquet"
        if content is not None:
            raw.write_bytes(content if isinstance(content, bytes) else content.encode())
        ingest_items("table", raw, list(fields), known, output, texts)
        return pl.from_arrow(read_table(output, SCHEMAS["items"]))

    return ingested


def test_the_new_items_of_a_whole_export_are_found_and_sorted(read, caplog):
    with caplog.at_level(logging.INFO):
        found = read("item_id,title,media_url\nb2,Soap,http://x/1.jpg\na2,Old,\nb10,,\na1,Old,\nb2,Again,\n")

    assert found.rows() == [(0, "b10", None, None, None), (1, "b2", "Soap", "Soap", "http://x/1.jpg")]
    assert "2 items are in the k-core already, 2 are new" in caplog.text
    assert "1 further descriptions of the same items" in caplog.text
    assert "1 of the new items have a text, 1 a media_url" in caplog.text


def test_the_further_texts_of_the_domain_count_and_old_rows_there_are_no_warning(read, tmp_path, caplog):
    plots = tmp_path / "plots.csv"
    plots.write_text("item_id,plot\na1,Old.\nb1,A film.\n")

    assert read("item_id,title\nb1,Film\n", plots, fields=("title", "plot"))["text"].to_list() == ["Film. A film"]
    assert not caplog.text


def test_ids_are_only_text(read):
    ids = ["../../etc/passwd", "=cmd()", "a1\u202e", "$(reboot)", "A1", "\u76ee\u9304"]
    table = "item_id,title\n" + "".join(f"{item},x\n" for item in ids)

    assert read(table)["item_id"].to_list() == sorted(ids)


@pytest.mark.parametrize(
    ("content", "error", "expected"),
    [
        ("item_id,title\na1,Old\na2,Old\n", DataError, "2 items are in the k-core already, 0 are new"),
        (None, ArtifactError, "A raw file is missing"),
        ("id,title\nb1,Soap\n", ParseError, "A table lacks a column"),
        ("item_id,title\n", ParseError, "has no rows"),
        ("item_id,title\n,Soap\n", ParseError, "malformed"),
        ("item_id,title\nb1,Crème\n".encode("latin-1"), ParseError, "cannot be read"),
        ("item_id,title\nb1,Soap\n".encode("utf-16"), ParseError, "cannot be read"),
    ],
    ids=["all old", "missing", "no id", "empty", "blank id", "latin-1", "utf-16"],
)
def test_a_table_without_new_items_is_an_error(read, tmp_path, content, error, expected):
    with pytest.raises(error) as caught:
        read(content)
    assert expected in str(caught.value)
    assert "today.csv" in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_table_of_another_format_is_an_error(read):
    with pytest.raises(ParseError, match="unknown format"):
        read("item_id,title\nb1,Soap\n", name="today.xlsx")
