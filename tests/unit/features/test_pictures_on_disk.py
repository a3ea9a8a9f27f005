"""Files that a ledger lists, and damaged or mislabelled pictures."""

import struct
import zlib

import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.pictures_on_disk import decode_picture, ledger_files, read_picture
from tests.unit.features.worlds import picture, write_media


def test_only_items_that_are_ok_have_a_file(tmp_path):
    media = write_media(tmp_path / "media", {"a": b"1", "b": b"2"}, c="dead", d="undecodable")
    files = ledger_files(media)
    assert [(file.item_id, file.path.read_bytes()) for file in files] == [("a", b"1"), ("b", b"2")]


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "files/../../outside", None])
def test_a_path_outside_the_folder_is_refused(tmp_path, path):
    media = write_media(tmp_path / "media", {"a": b"1"})
    ledger = read_table(media / "ledger.parquet")
    rows = ledger.to_pylist()
    rows[0]["path"] = path
    write_table(media / "ledger.parquet", ledger.from_pylist(rows, SCHEMAS["ledger"]), SCHEMAS["ledger"])
    with pytest.raises(FeatureError, match="names no file"):
        ledger_files(media)


def test_a_missing_ledger_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match="missing"):
        ledger_files(tmp_path)


def bomb():
    """A PNG of a few hundred bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", picture(0)[:200], picture(0, kind="JPEG")[:300], bomb()],
    ids=["empty", "a web page", "truncated PNG", "truncated JPEG", "bomb"],
)
def test_damaged_pictures_are_errors(tmp_path, body):
    path = tmp_path / "picture"
    path.write_bytes(body)
    with pytest.raises(FeatureError) as error:
        read_picture(path)
    assert str(path) in str(error.value)


def test_a_deleted_picture_is_an_error(tmp_path):
    with pytest.raises(FeatureError, match="cannot be read"):
        read_picture(tmp_path / "none.jpg")


def test_a_picture_is_decoded():
    assert decode_picture(picture(0), "here").size == (48, 40)
