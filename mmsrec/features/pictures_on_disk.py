"""Reads the files that the ledger of a crawl lists, and decodes pictures."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow.compute as pc
from PIL import Image

from mmsrec import picture_decoder
from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import FeatureError

# Bounds the memory for one picture; the crawl's own bound, max_pixels, is lower.
MAX_PIXELS = 2**28


class MediaFile(NamedTuple):
    """A fetched file and the SHA-256 of its content."""

    item_id: str
    path: Path
    sha256: str


def ledger_files(media: Path) -> list[MediaFile]:
    """The files of the items that a ledger marks as ok, in its order.

    Args:
        media: folder with the final ledger.parquet; the files lie below it.

    Raises:
        ArtifactError: the ledger is missing or damaged.
        FeatureError: the ledger marks an item as ok but names no file in its folder.
    """
    ledger = read_table(media / "ledger.parquet", SCHEMAS["ledger"])
    rows = ledger.filter(pc.equal(ledger.column("state"), "ok")).select(MediaFile._fields).to_pylist()
    for row in rows:
        path = PurePosixPath(row["path"] or "/")
        if path.is_absolute() or ".." in path.parts or row["sha256"] is None:
            raise FeatureError(
                "A ledger marks an item as ok but names no file in its folder.",
                where=f"{media / 'ledger.parquet'}: {row['item_id']}",
                expected="a path below the ledger's folder and a sha256",
                found=f"{row['path']}, {row['sha256']}",
                fix="Run the crawl again.",
            )
    return [MediaFile(row["item_id"], media / row["path"], row["sha256"]) for row in rows]


def read_picture(path: Path) -> Image.Image:
    """Reads a picture file; errors as in `decode_picture`."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise FeatureError(
            "A picture that the ledger names cannot be read.", where=path, found=error, fix="Run the crawl again."
        ) from error
    return decode_picture(body, path)


def decode_picture(body: bytes, where: object) -> Image.Image:
    """Decodes a picture in any format that Pillow knows, as `picture_decoder.decode` does.

    Raises:
        FeatureError: the picture is damaged, is no picture, or has more than `MAX_PIXELS`.
    """
    try:
        return picture_decoder.decode(body, MAX_PIXELS)
    except picture_decoder.TooManyPixels as error:
        raise FeatureError(
            "A picture is too large.", where=where, expected=f"at most {MAX_PIXELS:,} pixels", found=str(error)
        ) from error
    except picture_decoder.UndecodablePicture as error:
        raise FeatureError(
            "A picture cannot be decoded.", where=where, found=str(error), fix="Delete it and run the crawl again."
        ) from error
