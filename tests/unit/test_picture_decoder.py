"""A picture that looks the same gives the same pixels and the same vector, in every mode, format and orientation."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from mmsrec.features.encoders import load_encoder
from mmsrec.picture_decoder import TooManyPixels, UndecodablePicture, decode
from mmsrec.settings.encoding import OpenClipEncoder

MOST = 10**6
SIZE = (48, 32)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
LOSSY = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 90}, "AVIF": {"quality": 90}}


def drawn(mode="RGB"):
    """A picture that is different in every corner, with wide areas of one colour."""
    image = Image.new("RGB", SIZE, (200, 40, 40))
    image.paste((40, 180, 60), (24, 0, 48, 16))
    image.paste((40, 60, 190), (0, 16, 24, 32))
    image.paste((230, 220, 90), (24, 16, 40, 24))
    return image.convert(mode)


def saved(image, kind="PNG", **options):
    body = io.BytesIO()
    image.save(body, kind, **options)
    return body.getvalue()


def pixels(body, **options):
    image = decode(body, MOST, **options)
    assert image.mode == "RGB"
    assert not image.info
    return np.asarray(image).astype(int)


def with_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def stored_turned(image, orientation):
    """The picture as a camera stores it, so that the orientation brings it upright."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    probe = image.copy()
    probe.getexif()[0x0112] = inverse
    return ImageOps.exif_transpose(probe)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth, kind, rows, *chunks, width=4, height=1):
    """A PNG from its header, further chunks and rows of bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_chunk(body, kind, data):
    """A PNG with a chunk after its header."""
    return body[:33] + chunk(kind, data) + body[33:]


def clear(mode):
    """The drawing whose right half is clear above other colours, and the same on white."""
    shown = drawn()
    shown.paste("white", (24, 0, 48, 32))
    alpha = Image.new("L", SIZE, 255)
    alpha.paste(0, (24, 0, 48, 32))
    hidden = drawn()
    hidden.putalpha(alpha)
    return hidden.convert(mode), shown


def grey16(image):
    """The greys of a picture as 16 bits, from 0 to 65535."""
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def half_clear():
    image = drawn("RGBA")
    image.putalpha(128)
    return image


def faded():
    return Image.blend(Image.new("RGB", SIZE, "white"), drawn(), 128 / 255)


def animated(kind, **options):
    return saved(drawn(), kind, save_all=True, append_images=[Image.new("RGB", SIZE, "black")], duration=100, **options)


def plain_cmyk(image):
    """A JPEG of CMYK that is not inverted, without Adobe's marker."""
    inverted = Image.eval(image.convert("CMYK"), lambda level: 255 - level)
    body = saved(inverted, "JPEG", quality=100, subsampling=0)
    start = body.index(b"\xff\xee")
    return body[:start] + body[start + 2 + int.from_bytes(body[start + 2 : start + 4], "big") :]


# Each body, the picture that a person sees, and the largest difference of a pixel.
SAME = {
    "RGB": lambda: (saved(drawn()), drawn(), 0),
    "RGB, WebP": lambda: (saved(drawn(), "WEBP", **LOSSLESS["WEBP"]), drawn(), 0),
    "RGB, AVIF": lambda: (saved(drawn(), "AVIF", **LOSSLESS["AVIF"]), drawn(), 3),
    "RGB, JPEG": lambda: (saved(drawn(), "JPEG", quality=100, subsampling=0), drawn(), 6),
    "palette": lambda: (saved(drawn().quantize(8)), drawn(), 0),
    "palette of 2 bits": lambda: (saved(drawn().quantize(4), bits=2), drawn().quantize(4).convert("RGB"), 0),
    "palette, GIF": lambda: (saved(drawn().quantize(8), "GIF"), drawn(), 0),
    "palette, interlaced GIF": lambda: (saved(drawn().quantize(8), "GIF", interlace=1), drawn(), 0),
    "grey": lambda: (saved(drawn("L")), drawn("L"), 0),
    "grey, JPEG": lambda: (saved(drawn("L"), "JPEG", quality=100), drawn("L"), 4),
    "grey, GIF": lambda: (saved(drawn("L"), "GIF"), drawn("L"), 0),
    "1 bit": lambda: (saved(drawn("1")), drawn("1"), 0),
    "16-bit grey": lambda: (saved(grey16(drawn())), drawn("L"), 0),
    "RGBA": lambda: (saved(clear("RGBA")[0]), clear("RGBA")[1], 0),
    "RGBA, WebP": lambda: (saved(clear("RGBA")[0], "WEBP", **LOSSLESS["WEBP"]), clear("RGBA")[1], 0),
    "RGBA, AVIF": lambda: (saved(clear("RGBA")[0], "AVIF", **LOSSLESS["AVIF"]), clear("RGBA")[1], 3),
    "grey with alpha": lambda: (saved(clear("LA")[0]), clear("LA")[1].convert("L"), 0),
    "clear palette": lambda: (saved(clear("RGBA")[0].quantize()), clear("RGBA")[1], 0),
    "clear palette, GIF": lambda: (saved(clear("RGBA")[0], "GIF"), clear("RGBA")[1], 0),
    "clear palette with alpha (PA)": lambda: (saved(clear("RGBA")[0], "TIFF"), clear("RGBA")[1], 0),
    "half clear": lambda: (saved(half_clear()), faded(), 1),
    "half clear palette": lambda: (saved(half_clear().quantize(16)), faded(), 2),
    "CMYK of Adobe": lambda: (saved(drawn("CMYK"), "JPEG", quality=100, subsampling=0), drawn(), 6),
    "CMYK without a marker": lambda: (plain_cmyk(drawn()), drawn(), 6),
    "YCbCr": lambda: (saved(drawn("YCbCr"), "TIFF"), drawn(), 3),
    "Lab": lambda: (saved(in_lab(drawn()), "TIFF"), drawn(), 6),
    "animated GIF": lambda: (animated("GIF"), drawn(), 0),
    "animated WebP": lambda: (animated("WEBP", lossless=True), drawn(), 0),
    "animated PNG": lambda: (animated("PNG"), drawn(), 0),
    "animated AVIF": lambda: (animated("AVIF", **LOSSLESS["AVIF"]), drawn(), 3),
    "progressive JPEG": lambda: (saved(drawn(), "JPEG", quality=100, subsampling=0, progressive=True), drawn(), 6),
}


def in_lab(image):
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return transform.apply(image)


@pytest.fixture(scope="module")
def vectors():
    """Vectors of unit length from the demo's CLIP."""
    row = OpenClipEncoder(kind="open_clip", model="mmsrec/demo/tiny_clip.json", weights="seeded", seed=0)
    encoder = load_encoder("tiny", row)

    def encode(*images):
        found = encoder.encode_images(images).astype(float)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return encode


@pytest.mark.parametrize("name", SAME)
def test_a_picture_that_looks_the_same_gives_the_same_pixels_and_vector(vectors, name):
    body, seen, most = SAME[name]()

    assert np.abs(pixels(body) - np.asarray(seen.convert("RGB"))).max() <= most
    found, expected = vectors(decode(body, MOST), seen.convert("RGB"))
    assert found @ expected > (0.999 if most else 1 - 1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_stored_turned_gives_the_vector_of_the_upright_one(vectors, kind, orientation):
    options = LOSSLESS.get(kind, {"quality": 100, "subsampling": 0})
    exif = {"exif": with_orientation(orientation)}
    upright = decode(saved(drawn(), kind, **options), MOST)
    turned = decode(saved(stored_turned(drawn(), orientation), kind, **exif, **options), MOST)

    assert turned.size == SIZE
    assert np.abs(np.asarray(turned).astype(int) - np.asarray(upright)).max() <= (0 if kind in LOSSLESS else 6)
    found, expected = vectors(turned, upright)
    assert found @ expected > (1 - 1e-6 if kind in LOSSLESS else 0.999)


def test_an_orientation_counts_in_every_mode():
    for mode, kind in (("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")):
        image = drawn().convert("RGBA").convert(mode) if mode != "P" else drawn().quantize(8)
        turned = stored_turned(image, 6)
        body = saved(turned, kind, exif=with_orientation(6), **({"quality": 100} if kind == "JPEG" else {}))
        assert decode(body, MOST).size == SIZE, mode


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_ignored(orientation):
    body = saved(drawn(), exif=with_orientation(orientation))
    np.testing.assert_array_equal(pixels(body), np.asarray(drawn()))


def test_damaged_metadata_are_ignored():
    body = saved(drawn(), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12")
    np.testing.assert_array_equal(pixels(body), np.asarray(drawn()))


@pytest.mark.parametrize(
    ("body", "greys"),
    [
        (png(1, 0, [b"\x50"], chunk(b"tRNS", b"\0\0")), [255, 255, 255, 255]),
        (png(2, 0, [b"\x1b"], chunk(b"tRNS", b"\0\1")), [0, 255, 170, 255]),
        (png(4, 0, [b"\x0f\x5a"], chunk(b"tRNS", b"\0\5")), [0, 255, 255, 170]),
        (png(8, 0, [bytes([0, 9, 100, 255])], chunk(b"tRNS", b"\0\x64")), [0, 9, 255, 255]),
        (png(16, 0, [bytes([0, 0, 1, 0, 1, 1, 255, 255])], chunk(b"tRNS", b"\1\0")), [0, 255, 1, 255]),
        (png(8, 3, [bytes([0, 1, 2, 1])], chunk(b"PLTE", bytes(9)), chunk(b"tRNS", b"\xff\0")), [0, 255, 0, 255]),
        (png(16, 4, [bytes([0, 0, 255, 255] * 2 + [0, 0, 0, 0] * 2)]), [0, 0, 255, 255]),
    ],
    ids=["1 bit", "2 bits", "4 bits", "8 bits", "16 bits", "palette", "16 bits with alpha"],
)
def test_one_clear_grey_becomes_white(body, greys):
    np.testing.assert_array_equal(pixels(body)[0], np.array(greys)[:, None].repeat(3, 1))


def test_one_clear_colour_becomes_white():
    eight = png(8, 2, [bytes([1, 2, 3, 1, 2, 4] * 2)], chunk(b"tRNS", b"\0\1\0\2\0\3"))
    sixteen = png(16, 2, [bytes([1, 0, 2, 0, 3, 0, 9, 0, 2, 0, 3, 0] * 2)], chunk(b"tRNS", b"\1\0\2\0\3\0"))

    assert pixels(eight)[0].tolist() == [[255] * 3, [1, 2, 4]] * 2
    assert pixels(sixteen)[0].tolist() == [[255] * 3, [9, 2, 3]] * 2


def test_the_part_of_a_gif_that_its_first_frame_leaves_empty_is_white():
    body = bytearray(saved(Image.new("RGB", (10, 10), (200, 0, 0)).quantize(2), "GIF"))
    body[6:10] = struct.pack("<HH", 20, 16)
    found = pixels(bytes(body))

    assert found.shape == (16, 20, 3)
    assert (found[:10, :10] == [200, 0, 0]).all()
    assert (found[10:] == 255).all()
    assert (found[:, 10:] == 255).all()


def test_an_animated_png_shows_its_first_frame_not_its_stand_in():
    stand_in = Image.new("RGB", SIZE, "black")
    body = saved(stand_in, save_all=True, append_images=[drawn(), stand_in], default_image=True)

    np.testing.assert_array_equal(pixels(body), np.asarray(drawn()))


def swapped_profile():
    """A profile of RGB whose red and green primaries are exchanged, from the bytes of sRGB's profile."""
    body = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return body.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_an_embedded_profile_is_converted(vectors, kind):
    options = LOSSLESS.get(kind, {"quality": 100, "subsampling": 0})
    red, green, blue = drawn().split()
    stored = Image.merge("RGB", (green, red, blue))
    found = decode(saved(stored, kind, icc_profile=swapped_profile(), **options), MOST)

    assert np.abs(np.asarray(found).astype(int) - np.asarray(drawn())).max() <= 8
    first, second = vectors(found, drawn())
    assert first @ second > 0.999


@pytest.mark.parametrize(
    "profile",
    [SRGB, b"", b"no profile", SRGB[:200], SRGB[:-40] + bytes(40), SRGB.replace(b"RGB ", b"CMYK")],
    ids=["sRGB", "empty", "text", "cut", "overwritten", "of CMYK"],
)
def test_the_profile_of_srgb_and_a_broken_one_change_nothing(profile):
    body = saved(drawn(), icc_profile=profile)
    np.testing.assert_array_equal(pixels(body), np.asarray(drawn()))


def test_a_profile_counts_with_a_palette_and_with_alpha():
    red, green, blue, alpha = clear("RGBA")[0].split()
    stored = Image.merge("RGBA", (green, red, blue, alpha))
    for image in (stored, stored.quantize()):
        body = saved(image, icc_profile=swapped_profile())
        assert np.abs(pixels(body) - np.asarray(clear("RGBA")[1])).max() <= 8


def test_the_gamma_of_a_png_is_converted():
    linear = png(8, 0, [bytes([0, 55, 128, 255])], chunk(b"gAMA", struct.pack(">I", 100_000)))
    usual = png(8, 0, [bytes([0, 55, 128, 255])], chunk(b"gAMA", struct.pack(">I", 45_455)))
    zero = png(8, 0, [bytes([0, 55, 128, 255])], chunk(b"gAMA", struct.pack(">I", 0)))
    overruled = with_chunk(linear, b"sRGB", b"\0")

    assert pixels(linear)[0, :, 0].tolist() == [0, 128, 188, 255]
    for body in (usual, zero, overruled):
        assert pixels(body)[0, :, 0].tolist() == [0, 55, 128, 255]


def test_a_draft_of_a_jpeg_is_smaller_and_looks_the_same():
    large = drawn().resize((480, 320), Image.Resampling.NEAREST)
    draft = decode(saved(large, "JPEG", quality=95), MOST, draft=(48, 32))

    assert draft.size == (60, 40)
    assert np.abs(np.asarray(draft.resize(SIZE)).astype(int) - np.asarray(drawn()))[4:12, 4:20].max() <= 8


def test_pixels_are_counted_before_the_decoding():
    with pytest.raises(TooManyPixels, match="48 x 32"):
        decode(saved(drawn()), 48 * 32 - 1)


def test_only_the_formats_that_are_named_are_decoded():
    with pytest.raises(UndecodablePicture):
        decode(saved(drawn()), MOST, formats=["JPEG"])


def test_floating_point_has_no_defined_white():
    with pytest.raises(UndecodablePicture, match="no defined white"):
        decode(saved(drawn("F"), "TIFF"), MOST)
