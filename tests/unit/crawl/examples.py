"""Policies, pictures and tables for the crawl tests."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from PIL import Image, ImageDraw

from mmsrec.settings.crawling import Crawl
from mmsrec.settings.params import read_params

PARAMS = Path(__file__).parents[3] / "params.yaml"
HASTE: Mapping[str, Any] = {
    "allow_private": True,
    "host_rate": 10_000.0,
    "connect_timeout": 2.0,
    "read_timeout": 0.4,
    "total_timeout": 1.0,
    "attempts": 3,
    "backoff": 0.05,
    "max_pause": 2.0,
    "max_bytes": 5_000_000,
}


def policy(**changes: Any) -> Crawl:
    """The crawl settings of params.yaml for loopback addresses, with short pauses."""
    return read_params(PARAMS).crawl.model_copy(update={**HASTE, **changes})


def picture(kind: str = "JPEG", size: tuple[int, int] = (60, 90), seed: int = 0) -> bytes:
    """A small picture that depends on the seed."""
    image = Image.new("RGB", size, (40, (seed * 37) % 256, 200))
    ImageDraw.Draw(image).ellipse((5, 5, 10 + seed % 40, 50), fill=(250, 220, (seed * 11) % 256))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def urls(table: Mapping[str, str | None]) -> pa.Table:
    """A table of items and their URLs."""
    return pa.table({"item_id": pa.array(table, pa.string()), "url": pa.array(list(table.values()), pa.string())})


def ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of the final ledger by item."""
    return {row["item_id"]: row for row in pl.read_parquet(folder / "ledger.parquet").to_dicts()}


def files(folder: Path) -> dict[str, bytes]:
    """All files of a crawl's folder except the ledger and its log, by path."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and path.name not in ("ledger.parquet", "ledger.jsonl")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
