"""Thumbnails from crawls and tables of frames."""

import io
import struct
import zlib

import pyarrow as pa
import pytest
from PIL import Image

from mmsrec.artifacts import SCHEMAS, write_batches
from mmsrec.recommend import pictures
from mmsrec.recommend.pictures import SIDE, thumbnail, thumbnails
from tests.unit.features.worlds import picture, write_media

RED, BLUE = (220, 20, 20), (20, 20, 220)


def encoded(image, kind="PNG", **options):
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def plain(colour, size=(40, 30)):
    return encoded(Image.new("RGB", size, colour))


def opened(jpeg):
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    return image


def near(found, colour):
    return all(abs(one - other) < 12 for one, other in zip(found, colour, strict=True))


def write_frames(path, *groups):
    """A table of frames; a group is the frames of its items: their bytes by item."""
    schema = SCHEMAS["frames"]
    tables = [
        pa.Table.from_pylist(
            [
                {"item_id": item, "frame_index": index, "seconds": float(index), "jpeg": body}
                for item, frames in group.items()
                for index, body in enumerate(frames)
            ],
            schema,
        )
        for group in groups
    ]
    write_batches(path, tables, schema)
    return path


def colours(found):
    return {item: "red" if near(opened(jpeg).getpixel((5, 5)), RED) else "blue" for item, jpeg in found.items()}


@pytest.mark.parametrize(("size", "small"), [((800, 400), (192, 96)), ((50, 40), (50, 40)), ((9000, 1), (192, 1))])
def test_the_longer_side_is_bounded_and_nothing_is_enlarged(size, small):
    assert opened(thumbnail(plain(RED, size))).size == small
    assert max(small) <= SIDE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_upright_and_loses_its_metadata(kind):
    turned = Image.new("RGB", (300, 200), RED)
    turned.paste(BLUE, (0, 0, 60, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    exif[0x010E] = "where it was taken"

    jpeg = thumbnail(encoded(turned, kind, exif=exif))

    image = opened(jpeg)
    assert image.size == (128, 192)
    assert near(image.getpixel((64, 5)), BLUE)
    assert near(image.getpixel((64, 180)), RED)
    assert not image.getexif()
    assert b"where" not in jpeg


def test_damaged_metadata_are_passed_over_silently(recwarn):
    exif = Image.Exif()
    exif[0x010E] = "described " * 10
    damaged = exif.tobytes()[:-60]

    assert opened(thumbnail(encoded(Image.new("RGB", (40, 30), RED), "JPEG", exif=damaged))).size == (40, 30)
    assert not recwarn.list


def test_clear_parts_become_white():
    clear = Image.new("RGBA", (100, 100), (*RED, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 50, 100))
    palette = clear.quantize()

    for body in (encoded(clear), encoded(clear, "WEBP", lossless=True), encoded(clear, "GIF"), encoded(palette)):
        image = opened(thumbnail(body))
        assert near(image.getpixel((10, 50)), (255, 255, 255))
        assert near(image.getpixel((90, 50)), RED)


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("L", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG")])
def test_every_mode_becomes_colours(mode, kind):
    body = encoded(Image.new("RGB", (300, 200), "white").convert(mode), kind)

    assert near(opened(thumbnail(body)).getpixel((90, 60)), (255, 255, 255))


def test_equal_pictures_give_equal_bytes():
    body = picture(0, size=(700, 500), kind="JPEG")

    assert thumbnail(body) == thumbnail(body)


def test_only_the_items_that_are_asked_for_are_decoded(tmp_path, monkeypatch):
    media = write_media(tmp_path / "media", {"a": plain(RED), "b": plain(BLUE), "c": plain(BLUE)}, d="dead")
    frames = write_frames(tmp_path / "frames.parquet", {"e": [plain(RED)], "f": [plain(BLUE)]}, {"g": [plain(RED)]})
    decoded = []
    monkeypatch.setattr(pictures, "thumbnail", lambda body: decoded.append(body) or b"small")

    found = thumbnails(["a", "d", "f", "unknown"], [media], [frames])

    assert found == {"a": b"small", "f": b"small"}
    assert decoded == [plain(RED), plain(BLUE)]


def test_the_frame_in_the_middle_of_a_video_is_its_picture(tmp_path):
    red, blue = plain(RED), plain(BLUE)
    groups = ({"a": [blue, red, blue], "b": [red, blue]}, {"c": [red], "d": [blue, blue, red, blue]})
    frames = write_frames(tmp_path / "frames.parquet", *groups)

    assert colours(thumbnails("abcd", [], [frames])) == {"a": "red", "b": "blue", "c": "red", "d": "red"}


def test_the_first_place_that_has_a_picture_counts(tmp_path):
    first = write_media(tmp_path / "first", {"a": plain(RED), "b": b"damaged"})
    second = write_media(tmp_path / "second", {"a": plain(BLUE), "b": plain(BLUE)})
    frames = write_frames(tmp_path / "frames.parquet", {"a": [plain(BLUE)], "c": [plain(RED)]})

    found = thumbnails({"a", "b", "c"}, [first, second], [frames])

    assert colours(found) == {"a": "red", "b": "blue", "c": "red"}


def test_places_that_do_not_exist_are_left_out(tmp_path):
    (tmp_path / "empty").mkdir()

    assert thumbnails(["a"], [tmp_path / "none", tmp_path / "empty"], [tmp_path / "none.parquet"]) == {}


def test_videos_of_a_crawl_are_passed_over_silently(tmp_path, caplog):
    media = write_media(tmp_path / "media", {"a": b"\0\0\0\x20ftypisom" + bytes(100)})

    assert thumbnails(["a"], [media], []) == {}
    assert not caplog.records


def sized(width, height):
    """A PNG of a few hundred bytes that claims a size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        picture(0)[:200],
        picture(0, size=(400, 300), kind="JPEG")[:900],
        picture(0, kind="BMP"),
        sized(60_000, 60_000),
        sized(10_000, 10_000),
    ],
    ids=["empty", "a web page", "cut PNG", "cut JPEG", "no web format", "bomb", "large"],
)
def test_a_damaged_picture_is_left_out_and_named(tmp_path, caplog, recwarn, body):
    media = write_media(tmp_path / "media", {"broken": body, "whole": plain(RED)})

    assert set(thumbnails(["broken", "whole"], [media], [])) == {"whole"}
    assert ["item broken" in record.message for record in caplog.records] == [True]
    assert not recwarn.list


def test_a_deleted_picture_is_left_out_and_named(tmp_path, caplog):
    media = write_media(tmp_path / "media", {"gone": plain(RED)})
    (media / "files" / "gone").unlink()

    assert thumbnails(["gone"], [media], []) == {}
    assert "item gone" in caplog.text


def test_a_damaged_frame_is_left_out_and_named(tmp_path, caplog):
    frames = write_frames(tmp_path / "frames.parquet", {"a": [b"\xff\xd8\xff nothing"]})

    assert thumbnails(["a"], [], [frames]) == {}
    assert "item a" in caplog.text
