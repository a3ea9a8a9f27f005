import io
import random
from pathlib import Path

import pytest
from PIL import Image

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.picture_check import FORMATS, sniff, verify
from tests.unit.crawl.examples import picture, policy
from tests.unit.crawl.faults import pixel_bomb

RULES = policy(max_pixels=1_000_000)

# Pillow warns about large pictures and refuses huge ones.
pytestmark = pytest.mark.filterwarnings("ignore:Image size")


@pytest.mark.parametrize(("kind", "suffix"), FORMATS.items())
def test_every_format_is_recognised_by_its_first_bytes(kind: str, suffix: str) -> None:
    body = picture(kind)

    assert sniff(body[:16]) == kind
    assert verify(body, RULES) == suffix


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_picture_is_rejected(kind: str) -> None:
    body = picture(kind)
    for length in {0, 1, 15, 16, 40, len(body) // 3, len(body) // 2, len(body) - 40}:
        with pytest.raises(Rejected) as caught:
            verify(body[:length], RULES)
        assert caught.value.state == "undecodable"


def test_a_damaged_picture_is_rejected_or_decoded() -> None:
    draw = random.Random(0)
    verdicts = set()
    for kind in FORMATS:
        whole = picture(kind)
        for _ in range(150):
            body = bytearray(whole)
            for _ in range(draw.choice([1, 3, 30])):
                body[draw.randrange(len(body))] = draw.randrange(256)
            try:
                verify(bytes(body), RULES)
                verdicts.add("ok")
            except Rejected as rejected:
                verdicts.add(rejected.state)

    assert verdicts == {"ok", "undecodable"}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_colour_mode_are_accepted(mode: str) -> None:
    file = io.BytesIO()
    gradient = Image.linear_gradient("L").resize((40, 40))
    wide = gradient.convert("I;16").point(lambda level: level * 257) if mode == "I;16" else gradient.convert(mode)
    wide.save(file, "JPEG" if mode == "CMYK" else "PNG")

    assert verify(file.getvalue(), RULES) in (".jpg", ".png")


def test_pixels_are_counted_before_decoding() -> None:
    few = policy(max_pixels=10_000)
    assert verify(picture(size=(100, 100)), few) == ".jpg"
    for body, rules in ((picture(size=(100, 101)), few), (pixel_bomb(), RULES), (pixel_bomb(11_000), RULES)):
        with pytest.raises(Rejected, match="more pixels than allowed"):
            verify(body, rules)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"BM" + bytes(60), b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_only_pictures_reach_a_decoder(body: bytes) -> None:
    with pytest.raises(Rejected, match="not a picture"):
        verify(body, RULES)


def test_a_picture_with_the_signature_of_another_format_is_rejected() -> None:
    with pytest.raises(Rejected):
        verify(b"\xff\xd8\xff" + picture("PNG"), RULES)


def drawn(mode: str, size: tuple[int, int], *, level: int = 255, seed: int | None = None) -> Image.Image:
    """A picture of one level, or with a rectangle."""
    image = Image.new("L", size, level)
    if seed is not None:
        image.paste(level - seed, (0, 0, size[0] // 2, size[1] // 2))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (15, 300), (300, 15)])
def test_a_tiny_picture_is_a_placeholder(kind: str, size: tuple[int, int]) -> None:
    with pytest.raises(Rejected, match=f"a placeholder of {size[0]} x {size[1]} pixels") as caught:
        verify(picture(kind, size), RULES)
    assert caught.value.state == "missing"


def test_the_smallest_side_is_a_setting() -> None:
    assert verify(picture(size=(16, 16)), RULES) == ".jpg"
    assert verify(picture(size=(15, 15)), policy(min_side=15)) == ".jpg"
    with pytest.raises(Rejected, match="placeholder of 16 x 16"):
        verify(picture(size=(16, 16)), policy(min_side=17))


def one_colours() -> dict[str, bytes]:
    clear = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    clear.paste((200, 0, 0, 0), (0, 0, 30, 60))
    faint = Image.effect_noise((64, 64), 0.3)
    return {
        **{f"white {kind}": saved(drawn("RGB", (60, 90)), kind) for kind in FORMATS},
        **{f"grey {mode}": saved(drawn(mode, (60, 90), level=90), "PNG") for mode in ("L", "LA", "RGBA", "P")},
        "black CMYK": saved(drawn("CMYK", (60, 90), level=0), "JPEG"),
        "all clear, over two colours": saved(clear, "PNG"),
        "white on clear": saved(Image.new("RGBA", (60, 60), (255, 255, 255, 90)), "WEBP", lossless=True),
        "noise of a few levels": saved(faint, "JPEG", quality=90),
    }


@pytest.mark.parametrize("name", one_colours())
def test_a_picture_of_one_colour_is_a_placeholder(name: str) -> None:
    with pytest.raises(Rejected, match="a placeholder of one colour") as caught:
        verify(one_colours()[name], RULES)
    assert caught.value.state == "missing"
    assert verify(one_colours()[name], policy(min_contrast=0))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_of_two_near_colours_is_a_picture(kind: str) -> None:
    assert verify(saved(drawn("RGB", (64, 64), level=240, seed=12), kind), RULES)


def test_the_real_pictures_are_no_placeholders(real_data: Path) -> None:
    for folder in ("amazon/toys/pictures", "ml-1m/posters"):
        for path in sorted((real_data / folder).iterdir())[::100]:
            assert verify(path.read_bytes(), policy()), path
