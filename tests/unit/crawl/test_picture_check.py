import io
import random

import pytest
from PIL import Image

from mmsrec.crawl.outcome import Rejected
from mmsrec.crawl.picture_check import FORMATS, sniff, verify
from tests.unit.crawl.examples import picture
from tests.unit.crawl.faults import pixel_bomb

PIXELS = 1_000_000

# Pillow warns of large pictures on top of refusing huge ones.
pytestmark = pytest.mark.filterwarnings("ignore:Image size")


@pytest.mark.parametrize(("kind", "suffix"), FORMATS.items())
def test_every_format_is_known_by_its_bytes(kind: str, suffix: str) -> None:
    body = picture(kind)

    assert sniff(body[:16]) == kind
    assert verify(body, PIXELS) == suffix


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_cut_short_anywhere_is_refused(kind: str) -> None:
    body = picture(kind)
    for length in {0, 1, 15, 16, 40, len(body) // 3, len(body) // 2, len(body) - 40}:
        with pytest.raises(Rejected) as caught:
            verify(body[:length], PIXELS)
        assert caught.value.state == "undecodable"


def test_a_damaged_picture_is_refused_or_decoded_but_never_an_error() -> None:
    draw = random.Random(0)
    verdicts = set()
    for kind in FORMATS:
        whole = picture(kind)
        for _ in range(150):
            body = bytearray(whole)
            for _ in range(draw.choice([1, 3, 30])):
                body[draw.randrange(len(body))] = draw.randrange(256)
            try:
                verify(bytes(body), PIXELS)
                verdicts.add("ok")
            except Rejected as rejected:
                verdicts.add(rejected.state)

    assert verdicts == {"ok", "undecodable"}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_colour_mode(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (20, 20)).save(file, "JPEG" if mode == "CMYK" else "PNG")

    assert verify(file.getvalue(), PIXELS) in (".jpg", ".png")


def test_pixels_are_counted_before_they_are_decoded() -> None:
    assert verify(picture(size=(100, 100)), 10_000) == ".jpg"
    for body, most in ((picture(size=(100, 101)), 10_000), (pixel_bomb(), PIXELS), (pixel_bomb(11_000), PIXELS)):
        with pytest.raises(Rejected, match="more pixels than allowed"):
            verify(body, most)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"BM" + bytes(60), b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_what_is_no_picture_is_not_handed_to_a_decoder(body: bytes) -> None:
    with pytest.raises(Rejected, match="not a picture"):
        verify(body, PIXELS)


def test_a_format_hidden_behind_the_bytes_of_another_is_refused() -> None:
    with pytest.raises(Rejected):
        verify(b"\xff\xd8\xff" + picture("PNG"), PIXELS)
