"""Check that bytes are a whole picture and no placeholder: first by the file signature, then by decoding."""

from types import MappingProxyType

from mmsrec.crawl.entry import Rejected
from mmsrec.picture_decoder import TooManyPixels, UndecodablePicture, decode, size_of
from mmsrec.settings.crawling import Crawl

HEAD_BYTES = 16
TOO_MANY_PIXELS = "the picture has more pixels than allowed"

# Pillow's name of each format, and its file suffix.
FORMATS = MappingProxyType({"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "AVIF": ".avif"})


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


def verify(body: bytes, policy: Crawl) -> str:
    """Decodes a picture, or the first frame of an animation, and returns the suffix for its file.

    Raises:
        Rejected: `undecodable`, because it is no picture, is damaged, is truncated or has more than `max_pixels`.
            `missing`, because it is a placeholder: smaller than `min_side`, or of one colour.
    """
    kind = sniff(body[:HEAD_BYTES])
    if kind is None:
        raise Rejected("undecodable", "the answer is not a picture")
    try:
        # A JPEG is decoded at an eighth of its size. Pillow still reads every coded block, in half the time.
        seen = decode(body, policy.max_pixels, formats=[kind], draft=(1, 1))
    except TooManyPixels as error:
        raise Rejected("undecodable", TOO_MANY_PIXELS) from error
    except UndecodablePicture as error:
        raise Rejected("undecodable", f"the picture is damaged: {str(error).partition(':')[0]}") from error
    width, height = size_of(body, [kind])
    if min(width, height) < policy.min_side:
        raise Rejected("missing", f"a placeholder of {width} x {height} pixels")
    if max(high - low for low, high in seen.getextrema()) < policy.min_contrast:
        raise Rejected("missing", "a placeholder of one colour")
    return FORMATS[kind]
