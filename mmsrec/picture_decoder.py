"""Decodes pictures as a person sees them: the first frame, upright, in the colours of sRGB, on white where it is clear.

Two files that look the same in a browser give the same pixels, whatever their format, colour mode or orientation.
"""

import io
import struct
from collections.abc import Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageChops, ImageCms

RULE = "pictures as seen: first frame, upright, sRGB, on white"

# The errors that Pillow's parsers raise on damaged or hostile input.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    MemoryError,
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

ORIENTATION = 0x0112  # the tag of EXIF
# The step from the stored picture to the upright one, by the tag's value (EXIF 2.32, 4.6.4).
UPRIGHT = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)

# Levels of 255 by which a profile may change a colour and still count as sRGB.
SAME_COLOUR = 2
SRGB_GAMMA = 1 / 2.2
SAME_GAMMA = 0.05
GAMMAS = (0.1, 4.0)  # other values are errors of the file


class UndecodablePicture(Exception):
    """The bytes are no picture, or a damaged one."""


class TooManyPixels(UndecodablePicture):
    """The picture has more pixels than allowed. They were not decoded."""


def decode(
    body: bytes, most_pixels: int, *, formats: Sequence[str] | None = None, draft: tuple[int, int] | None = None
) -> Image.Image:
    """Decodes a picture to RGB as a browser shows it on a white page.

    - The first frame of an animation counts.
    - EXIF's orientation turns and mirrors the picture.
    - An embedded colour profile, or a gamma in a PNG, is converted to sRGB. A damaged profile is ignored.
    - Clear pixels become white. So does the part of a GIF that its first frame leaves empty.
    - 16-bit grey is scaled to 8 bits. CMYK is inverted if the file has Adobe's marker.

    The physical size of pixels, and a PNG's table of primaries, are ignored.

    Args:
        body: the file.
        most_pixels: bound on width times height, checked before the decoding.
        formats: the names of Pillow's formats that may occur; None means all.
        draft: a JPEG may be decoded to a half, a quarter or an eighth that is at least as large as this.

    Raises:
        TooManyPixels: more than `most_pixels`, or more than Pillow deems safe.
        UndecodablePicture: the bytes are no picture of these formats, or a damaged one.
    """
    try:
        image = Image.open(io.BytesIO(body), formats=formats)
        if image.width * image.height > most_pixels:
            raise TooManyPixels(f"{image.width} x {image.height} pixels")
        if getattr(image, "default_image", False):
            image.seek(1)  # an animated PNG shows its own picture only where animations are unknown
        if draft:
            image.draft(None, draft)
        stored, box = _raw_mode(image), _frame_box(image)
        image.load()
        seen = _upright(_on_white(image, stored, box), image)
        seen.info = {}  # an orientation or a profile must not be applied again
        return seen
    except BOMBS as error:
        raise TooManyPixels(str(error)) from error
    except DAMAGED as error:
        raise UndecodablePicture(f"{type(error).__name__}: {error}") from error


def size_of(body: bytes, formats: Sequence[str]) -> tuple[int, int]:
    """Width and height from the header of a picture that `decode` accepts, in pixels as they are stored."""
    with Image.open(io.BytesIO(body), formats=formats) as image:
        return image.size


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name of the stored pixel format, such as L;2 for grey of 2 bits; empty if there is none."""
    arguments = image.tile[0].args if image.tile else ""
    return arguments if isinstance(arguments, str) else ""


def _frame_box(image: Image.Image) -> tuple[int, int, int, int]:
    """The part of the canvas that the first frame of a GIF covers; the whole canvas for other formats."""
    return image.tile[0].extents if image.format == "GIF" and image.tile else (0, 0, *image.size)


def _upright(seen: Image.Image, image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION))
    except DAMAGED:  # metadata of pictures from the web are often damaged
        turn = None
    return seen if turn is None else seen.transpose(turn)


def _on_white(image: Image.Image, stored: str, box: tuple[int, int, int, int]) -> Image.Image:
    """The picture in RGB, still turned as it is stored."""
    alpha = _mask_of_clear_colour(image, stored)
    colours = image
    if image.mode in ("La", "RGBa"):
        colours = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    elif image.mode in ("P", "PA"):
        colours = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if colours.mode in ("LA", "RGBA"):
        alpha, colours = colours.getchannel("A"), colours.convert(colours.mode[:-1])
    seen = _in_srgb(_in_8_bits(colours), image)
    if alpha is None and box != (0, 0, *image.size):
        alpha = Image.new("L", image.size)
        alpha.paste(255, box)
    return seen if alpha is None else Image.composite(seen, Image.new("RGB", seen.size, "white"), alpha)


def _mask_of_clear_colour(image: Image.Image, stored: str) -> Image.Image | None:
    """The alpha of a picture in which one colour or one grey is clear, as PNG and GIF can have it; else None."""
    clear = image.info.get("transparency")
    if clear is None or image.mode not in ("1", "L", "RGB", "I;16"):
        return None
    if stored in ("L;2", "L;4"):  # Pillow scales the pixels to 8 bits, but not the clear grey
        clear = clear * 255 // (2 ** int(stored[-1]) - 1)
    elif stored == "RGB;16B":  # Pillow keeps the upper 8 bits of the pixels
        clear = tuple(level >> 8 for level in clear)
    pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    is_clear = (pixels == np.array(clear)).reshape(*pixels.shape[:2], -1).all(axis=2)
    return Image.fromarray(np.where(is_clear, 0, 255).astype(np.uint8))


def _in_8_bits(image: Image.Image) -> Image.Image:
    """A picture without alpha in one of the modes L, RGB, CMYK, LAB; the last two may have a profile."""
    if image.mode == "F":
        raise ValueError("pixels of floating point have no defined white")
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if image.mode == "CMYK":
        # Adobe writes inverted CMYK, with a marker. Pillow inverts the pixels of every JPEG.
        plain = image.format in ("JPEG", "MPO") and "adobe" not in image.info
        return ImageChops.invert(image) if plain else image
    return image if image.mode in ("L", "RGB", "LAB") else image.convert("L" if image.mode == "1" else "RGB")


def _in_srgb(colours: Image.Image, image: Image.Image) -> Image.Image:
    """Converts L, RGB, CMYK or LAB to RGB, by the embedded profile or gamma of `image` if it has one."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) or colours.mode == "LAB":
        transform = _transform(profile if isinstance(profile, bytes) else b"", colours.mode)
        if transform is not None:
            return transform.apply(colours)
    elif colours.mode in ("L", "RGB") and "srgb" not in image.info:
        colours = _without_gamma(colours, image.info.get("gamma"))
    return colours if colours.mode == "RGB" else colours.convert("RGB")


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion from a profile to sRGB, or None if the profile is damaged, of another mode, or sRGB itself."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode not in ("L", "RGB"):
            return transform
        changed = np.asarray(transform.apply(_samples(mode))).astype(int)
    except (ImageCms.PyCMSError, *DAMAGED):
        return None
    same = np.abs(changed - np.asarray(_samples(mode).convert("RGB"))).max() <= SAME_COLOUR
    return None if same else transform


def _samples(mode: str) -> Image.Image:
    """A picture of all greys, or of 9 x 9 x 9 colours."""
    greys = np.arange(256, dtype=np.uint8)[None]
    if mode == "L":
        return Image.fromarray(greys)
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3))


def _without_gamma(image: Image.Image, gamma: object) -> Image.Image:
    """Converts a PNG with another gamma, such as linear light, to sRGB's curve."""
    if not isinstance(gamma, float) or not GAMMAS[0] < gamma < GAMMAS[1] or abs(gamma / SRGB_GAMMA - 1) < SAME_GAMMA:
        return image
    light = (np.arange(256) / 255) ** (1 / gamma)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return image.point(np.rint(255 * curve).astype(int).tolist() * len(image.getbands()))
