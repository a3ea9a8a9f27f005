"""Draws a contact sheet: one picture with many thumbnails, each above its item's id."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from mmsrec.artifacts import SCHEMAS, open_table
from mmsrec.features.pictures_on_disk import decode_picture, ledger_files, read_picture
from mmsrec.files import atomic_path

CELL = 112
LABEL = 14
COLUMNS = 10
MOST = 100


def write_sheet(artifact: Path, output: Path) -> int:
    """Draws the first pictures of a crawl's folder, or the first frames of a table of frames, as a PNG.

    Returns:
        The number of pictures shown; 0 without a file, as for a folder of videos.

    Raises:
        ArtifactError: the ledger or the table is damaged.
        FeatureError: a picture is damaged.
    """
    pictures = list(islice(_crawled(artifact) if artifact.is_dir() else _sampled(artifact), MOST))
    if not pictures:
        return 0
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * (CELL + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (label, picture) in enumerate(pictures):
        left, top = number % COLUMNS * CELL, number // COLUMNS * (CELL + LABEL)
        thumbnail = ImageOps.contain(picture, (CELL - 4, CELL - 4))
        sheet.paste(thumbnail, (left + (CELL - thumbnail.width) // 2, top + (CELL - thumbnail.height) // 2))
        draw.text((left + 3, top + CELL), label[:18], fill="black")
    with atomic_path(output) as temporary:
        sheet.save(temporary, "PNG")
    return len(pictures)


def _crawled(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    for file in ledger_files(folder):
        if _is_picture(file.path):
            yield file.item_id, read_picture(file.path)


def _is_picture(path: Path) -> bool:
    try:
        Image.open(path).close()
    except UnidentifiedImageError:
        return False
    return True


def _sampled(path: Path) -> Iterator[tuple[str, Image.Image]]:
    with open_table(path, SCHEMAS["frames"]) as file:
        for batch in file.iter_batches(MOST):
            for row in pa.Table.from_batches([batch]).to_pylist():
                label = f"{row['item_id']} {row['seconds']:.1f}s"
                yield label, decode_picture(row["jpeg"], f"{path}: {label}")
