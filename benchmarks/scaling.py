"""Bytes and seconds per million pairs, from tar shards to batches, and whether they stay flat as the corpus grows.

- write: generated pairs to Parquet shards, 10,000 a shard;
- read: an epoch of shuffled batches in a separate process: cold (the files' pages dropped first) and warm. It is read
  again as the first of eight ranks, which takes an eighth of each batch. The output has seconds of wall time and of
  processor time over all threads, and the largest resident memory of the process;
- shards: a generated tar shard through encode_shard, with an encoder that costs nothing instead of the text tower.

A corpus of N pairs takes about N * 2.1 kB of disk at width 512. Each corpus is removed before the next.

    python benchmarks/scaling.py --folder DIR                              # 0.1 million pairs
    python benchmarks/scaling.py --folder DIR --pairs 1000000 2000000 4000000
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mmsrec.artifacts import pairs_schema
from mmsrec.features.encoders import Encoder, Tower
from mmsrec.features.feature_file import Provenance
from mmsrec.pairs.encode import encode_shard
from mmsrec.pairs.read import PairBatch, Pairs
from mmsrec.pairs.write import finalise, pair_table, shard_name, write_shard
from mmsrec.settings.corpora import ShardCorpus

PAIRS_A_SHARD = 10_000
RANKS = 8
MILLION = 1_000_000


def generated(pairs: int, width: int, seed: int) -> PairBatch:
    """Unit vectors, which compress as badly as real ones."""
    vectors = np.random.default_rng(seed).standard_normal((2, pairs, width), np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    vision, text = vectors.astype(np.float16)
    return PairBatch(vision, np.ones(pairs, bool), text, np.ones(pairs, bool))


def write_corpus(folder: Path, pairs: int, width: int) -> float:
    """Writes a corpus of generated pairs; gives the seconds that writing took."""
    provenance, schema = (
        Provenance("none", "digest", "vision and text", "generated", "none"),
        pairs_schema(width, width),
    )
    # The same vectors in every shard: what is measured does not depend on them, and to draw them takes longer.
    batch = generated(PAIRS_A_SHARD, width, 0)
    names, seconds = [], 0.0
    for start in range(0, pairs, PAIRS_A_SHARD):
        size = min(PAIRS_A_SHARD, pairs - start)
        ids = [f"{number:09d}" for number in range(start, start + size)]
        names.append(shard_name(len(names)))
        began = time.perf_counter()
        write_shard(folder / names[-1], [pair_table(ids, batch.rows(slice(size)))], schema, provenance)
        seconds += time.perf_counter() - began
    finalise(folder, names)
    return seconds


def drop_pages(paths: Iterable[Path]) -> None:
    """Asks the system to forget what it keeps of these files in memory."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_corpus(folder: Path, batch_size: int) -> dict[str, float]:
    """Reads three epochs; gives the seconds of each, and the memory."""
    began = time.perf_counter()
    opened = Pairs(folder)
    seconds = {"open": time.perf_counter() - began}
    for epoch, (name, share) in enumerate({"cold": (0, 1), "warm": (0, 1), "rank": (0, RANKS)}.items()):
        if name == "cold":
            drop_pages(folder.glob("*.parquet"))
        began, busy = time.perf_counter(), time.process_time()
        taken = sum(len(batch.vision) for batch in opened.batches(batch_size, 0, epoch, share=share))
        seconds[name], seconds[f"{name}, processor"] = time.perf_counter() - began, time.process_time() - busy
        assert abs(taken * share[1] - len(opened)) <= RANKS * opened.steps(batch_size)
    return seconds | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def in_its_own_process(folder: Path, batch_size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--folder", folder, "--read", "--batch-size", str(batch_size)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tar_members(clips: int, frames: int, width: int) -> Iterator[tuple[str, bytes]]:
    body = io.BytesIO()
    np.save(body, generated(frames, width, 0).vision)
    for number in range(clips):
        yield f"{number:09d}.json", b'{"duration": 18}'
        yield f"{number:09d}.npy", body.getvalue()
        yield f"{number:09d}.txt", f"a person does thing number {number} in the rain".encode()


def write_tar(path: Path, clips: int, frames: int, width: int) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in tar_members(clips, frames, width):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def encode_tar(folder: Path, clips: int, frames: int, width: int, keep: str) -> tuple[float, int, int]:
    """Encodes a generated shard; gives the processor seconds, the bytes of the tar shard and those of the pairs."""
    tar, output = folder / "shard.tar", folder / "shard.parquet"
    write_tar(tar, clips, frames, width)
    vector = generated(1, width, 0).text.astype(np.float32)
    tower = Tower(list, lambda texts: np.repeat(vector, len(texts), 0), 256, "none", on_host=True)
    encoder = Encoder("none", width, "digest", "none", {"text": tower})
    corpus = ShardCorpus(kind="shards", repository="a/b", files="*.tar", frames="uniform", count=10, keep=keep)
    busy = time.process_time()
    encode_shard(corpus, tar, encoder, output, "identity")
    return time.process_time() - busy, tar.stat().st_size, output.stat().st_size


def print_row(columns: Iterable[str]) -> None:
    print(f"| {' | '.join(columns)} |", flush=True)


def main(flags: argparse.Namespace) -> None:
    print(f"width {flags.width}, batches of {flags.batch_size:,}; per million pairs")
    names = [
        "pairs",
        "bytes",
        "write",
        "open",
        "cold",
        "warm",
        "warm, processor",
        "rank of 8, processor",
        "pairs/s, warm",
    ]
    print_row([*names, "peak memory"])
    print_row(["---"] * (len(names) + 1))
    for pairs in flags.pairs:
        with tempfile.TemporaryDirectory(dir=flags.folder) as home:
            folder = Path(home)
            write = write_corpus(folder, pairs, flags.width)
            size = sum(path.stat().st_size for path in folder.glob("*.parquet"))
            read = in_its_own_process(folder, flags.batch_size)
        share = MILLION / pairs
        print_row(
            [
                f"{pairs:,}",
                f"{size * share / 1e9:.3f} GB",
                f"{write * share:.1f} s",
                *(
                    f"{read[name] * share:.2f} s"
                    for name in ("open", "cold", "warm", "warm, processor", "rank, processor")
                ),
                f"{pairs / read['warm']:,.0f}",
                f"{read['peak'] / 2**20:,.0f} MiB",
            ]
        )
    print(f"\nshards of {flags.clips:,} clips of {flags.frames} frames, without the text encoder; per million pairs")
    print_row(["keep", "tar", "pairs", "encode, processor"])
    print_row(["---"] * 4)
    for keep in ("mean", "frames"):
        with tempfile.TemporaryDirectory(dir=flags.folder) as home:
            seconds, tar, stored = encode_tar(Path(home), flags.clips, flags.frames, flags.width, keep)
        share = MILLION / flags.clips
        print_row([keep, f"{tar * share / 1e9:.2f} GB", f"{stored * share / 1e9:.2f} GB", f"{seconds * share:,.0f} s"])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure")
    arguments.add_argument("--pairs", type=int, nargs="+", default=[MILLION // 10], help="sizes of the corpora")
    arguments.add_argument("--width", type=int, default=512, help="components of a vector")
    arguments.add_argument("--batch-size", type=int, default=48_000, help="pairs")
    arguments.add_argument("--clips", type=int, default=10_000, help="of the tar shard")
    arguments.add_argument("--frames", type=int, default=18, help="of a clip in the tar shard")
    arguments.add_argument("--read", action="store_true", help="only read the corpus in --folder, and print JSON")
    parsed = arguments.parse_args()
    if parsed.read:
        print(json.dumps(read_corpus(parsed.folder, parsed.batch_size)))
    else:
        free = shutil.disk_usage(parsed.folder).free
        needed = max(parsed.pairs) * parsed.width * 4.2
        if needed > free:
            sys.exit(f"{parsed.folder} has {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB are needed")
        main(parsed)
