"""Check that bytes are a whole picture: first by the file signature, then by decoding."""

import io
import struct
from types import MappingProxyType

from PIL import Image

from mmsrec.crawl.entry import Rejected

HEAD_BYTES = 16
TOO_MANY_PIXELS = "the picture has more pixels than allowed"

# Pillow's name of each format, and its file suffix.
FORMATS = MappingProxyType({"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "AVIF": ".avif"})

# The errors that Pillow's parsers raise on damaged or hostile input.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    MemoryError,
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def sniff(head: bytes) -> str | None:
    """Pillow's name of the picture format, from the first 16 bytes of a file; None if it is no known picture format."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return None


def verify(body: bytes, max_pixels: int) -> str:
    """Decodes a picture, or the first frame of an animation, and returns the suffix for its file.

    Raises:
        Rejected: `undecodable`, because it is no picture, is damaged, is truncated or has more than `max_pixels`.
    """
    kind = sniff(body[:HEAD_BYTES])
    if kind is None:
        raise Rejected("undecodable", "the answer is not a picture")
    try:
        with Image.open(io.BytesIO(body), formats=[kind]) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise Rejected("undecodable", TOO_MANY_PIXELS)
            # A JPEG is decoded at an eighth of its size. Pillow still reads every coded block, in half the time.
            image.draft(None, (1, 1))
            image.load()
    except BOMBS as error:
        raise Rejected("undecodable", TOO_MANY_PIXELS) from error
    except DAMAGED as error:
        raise Rejected("undecodable", f"the picture is damaged: {type(error).__name__}") from error
    return FORMATS[kind]
