"""Thumbnails of items, from the pictures of a crawl and from the frames of videos."""

import io
import logging
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from PIL import Image

from mmsrec.artifacts import SCHEMAS, open_table
from mmsrec.crawl import video_formats
from mmsrec.crawl.picture_check import FORMATS, HEAD_BYTES
from mmsrec.features.frame_table import video_starts
from mmsrec.features.pictures_on_disk import ledger_files
from mmsrec.picture_decoder import UndecodablePicture, decode

logger = logging.getLogger(__name__)

SIDE = 192  # pixels of the longer side; twice the side on a page, for screens with small pixels
QUALITY = 80


def thumbnails(item_ids: Collection[str], media: Sequence[Path], frames: Sequence[Path]) -> dict[str, bytes]:
    """Small JPEGs of items. The first place that has an item's picture counts, and only these items are decoded.

    Args:
        item_ids: the items that are asked for.
        media: folders of crawls, each with its ledger.parquet. Their videos are passed over.
        frames: tables of frames. The frame in the middle of a video is its picture.

    Returns:
        A JPEG by item. An item without a picture has no entry, and a damaged picture is logged and left out. Folders
        and tables that do not exist are left out.

    Raises:
        ArtifactError: a ledger or a table of frames is damaged.
        FeatureError: a ledger marks an item as ok but names no file in its folder.
    """
    asked = set(item_ids)
    found: dict[str, bytes] = {}
    sources = [
        *(_crawled(folder, asked) for folder in media if (folder / "ledger.parquet").exists()),
        *(_sampled(table, asked) for table in frames if table.exists()),
    ]
    for source in sources:
        for item, body in source:
            if item in found:
                continue
            try:
                found[item] = thumbnail(body)
            except UndecodablePicture as error:
                logger.warning("The picture of item %s is left out: %s", item, error)
    return found


def thumbnail(body: bytes) -> bytes:
    """A JPEG whose longer side has at most `SIDE` pixels: as `picture_decoder.decode` shows it, without metadata.

    Raises:
        UndecodablePicture: the picture cannot be decoded, or has more pixels than Pillow deems safe.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # metadata of pictures from the web are often damaged
        # A large JPEG is decoded at a half, a quarter or an eighth.
        seen = decode(body, Image.MAX_IMAGE_PIXELS, formats=list(FORMATS), draft=(2 * SIDE, 2 * SIDE))
    seen.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    jpeg = io.BytesIO()
    seen.save(jpeg, "JPEG", quality=QUALITY, optimize=True, exif=b"", comment=b"")
    return jpeg.getvalue()


def _crawled(folder: Path, asked: set[str]) -> Iterator[tuple[str, bytes]]:
    for file in ledger_files(folder):
        if file.item_id not in asked:
            continue
        try:
            body = file.path.read_bytes()
        except OSError as error:
            logger.warning("The picture of item %s is left out: %s", file.item_id, error)
            continue
        if video_formats.sniff(body[:HEAD_BYTES]) is None:
            yield file.item_id, body


def _sampled(path: Path, asked: set[str]) -> Iterator[tuple[str, bytes]]:
    with open_table(path, SCHEMAS["frames"]) as file:
        for group in range(file.num_row_groups):
            # The narrow column is read alone, so that the frames of other items are never read.
            ids = file.read_row_group(group, columns=["item_id"])
            starts = video_starts(ids).tolist()
            ends = [*starts[1:], ids.num_rows]
            middles = [(start + end) // 2 for start, end in zip(starts, ends, strict=True)]
            wanted = [row for row in middles if ids.column("item_id")[row].as_py() in asked]
            if wanted:
                table = file.read_row_group(group, columns=["item_id", "jpeg"]).take(wanted)
                yield from zip(table.column("item_id").to_pylist(), table.column("jpeg").to_pylist(), strict=True)
