"""Ingests and prepares a drawn ratings file of any size, beside the bare read of the file by polars.

Each part runs in a separate process, so that its peak memory is its own.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

ACTIONS_OF_A_USER, ACTIONS_OF_AN_ITEM = 8, 40
DAY = 86_400
FIRST, LAST = 1_000_000_000, 1_400_000_000  # seconds since 1970


def draw(folder: Path, rows: int) -> None:
    """Writes rows as Amazon's ratings_*.csv has them, and a table of one item; low item numbers are popular."""
    from mmsrec.artifacts import SCHEMAS, write_table

    row = pl.DataFrame({"item_id": ["B000000001"], "title": ["One"], "text": ["One"], "media_url": [""]})
    write_table(folder / "items.parquet", row.to_arrow(), SCHEMAS["raw_items"])
    random = np.random.default_rng(0)
    users = random.integers(0, rows // ACTIONS_OF_A_USER, rows)
    items = (random.random(rows) ** 2 * (rows // ACTIONS_OF_AN_ITEM)).astype(int)
    times = random.integers(FIRST, LAST, rows) // DAY * DAY
    pl.DataFrame(
        {
            "user": "A" + pl.Series(users).cast(pl.String).str.zfill(12),
            "item": "B" + pl.Series(items).cast(pl.String).str.zfill(9),
            "rating": np.full(rows, 5.0),
            "time": times,
        }
    ).write_csv(folder / "ratings.csv", include_header=False)


def bare(folder: Path, _: int) -> None:
    """Reads the ratings with polars."""
    pl.read_csv(folder / "ratings.csv", has_header=False)


def ingest(folder: Path, _: int) -> None:
    """Writes interactions.parquet from the ratings."""
    from mmsrec.artifacts import SCHEMAS, write_batches
    from mmsrec.sources import amazon

    frames = amazon.interactions(folder / "ratings.csv")
    write_batches(folder / "interactions.parquet", (frame.to_arrow() for frame in frames), SCHEMAS["interactions"])


def prepare(folder: Path, _: int) -> None:
    """Writes the 5-core."""
    from mmsrec.sequences.prepare import prepare as stage

    stage(folder, folder / "k5", domain="drawn", k=5)


PARTS = {"draw": draw, "bare": bare, "ingest": ingest, "prepare": prepare}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the files go (default: a temporary folder)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.part:
        started, processor = time.perf_counter(), time.process_time()
        PARTS[flags.part](flags.folder, flags.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds = time.perf_counter() - started
        print(
            f"{flags.part:<8} {seconds:8.2f} s {time.process_time() - processor:8.2f} s of processor {peak:8,.0f} MiB"
        )
        return
    with tempfile.TemporaryDirectory(dir=flags.folder) as name:
        print(f"{flags.rows:,} rows", flush=True)
        for part in PARTS:
            command = [sys.executable, __file__, "--part", part, "--rows", str(flags.rows), "--folder", name]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
