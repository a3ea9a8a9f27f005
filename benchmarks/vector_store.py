"""Writes and reads a feature file, against numpy's own file of the same float16 vectors.

Both sides write to one folder and read files that the system may hold in memory. Rounds alternate; medians are shown.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsrec.features.feature_file import Provenance, read_features, write_features

PROVENANCE = Provenance("bench", "0", "text", "none", "0")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """The time on the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    random = np.random.default_rng(0)
    vectors = random.standard_normal((flags.vectors, flags.dim), np.float32).astype(np.float16)
    ids = pa.array([f"B{number:09d}" for number in range(flags.vectors)])
    frames = np.ones(flags.vectors, int)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours.parquet"), Path(folder, "theirs.npy")
        work = {
            "write": (lambda: write_features(ours, ids, frames, vectors, PROVENANCE), lambda: np.save(theirs, vectors)),
            "read": (lambda: read_features(ours, ids, "0"), lambda: np.load(theirs, allow_pickle=False)),
        }
        print(f"{flags.vectors:,} vectors of {flags.dim} float16, medians of {flags.rounds} rounds")
        for name, sides in work.items():
            rounds = [[seconds(side) for side in sides] for _ in range(flags.rounds)]
            for unit, place in {"clock": 0, "processor": 1}.items():
                own, other = (statistics.median(each[side][place] for each in rounds) for side in (0, 1))
                print(f"{name:<6}{unit:<10} feature file {own:6.2f} s   numpy {other:6.2f} s   ratio {own / other:.2f}")


if __name__ == "__main__":
    main()
