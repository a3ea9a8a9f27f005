"""From Beauty's raw files to sequences, and the same k-core by dictionaries in plain Python, in one run.

    MMSREC_MIRROR=... python benchmarks/prepare.py

The stages run as processes, start-up included, so that their peak memory is their own.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "workflow" / "scripts"


def stage(script: str, *flags: str) -> tuple[float, float]:
    """Seconds and peak MiB of a stage; the peak is the largest of all stages so far."""
    started = time.perf_counter()
    subprocess.run([sys.executable, SCRIPTS / script, *flags], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def in_process(ratings: Path, metadata: Path, folder: Path) -> float:
    """Seconds of the same work in this process, imports left out."""
    from mmsrec.sequences.prepare import prepare
    from mmsrec.sequences.split import split
    from mmsrec.settings.params import read_params
    from mmsrec.sources.ingest import ingest

    params = read_params(Path(__file__).parents[1] / "params.yaml")
    row = params.domains["beauty"]
    started = time.perf_counter()
    ingest(row.source, ratings, metadata, row.text_fields, folder)
    prepare(folder, folder / "k5", domain="beauty", k=5)
    split(folder / "k5", params.splits["shuffle"], folder / "sequences.parquet")
    return time.perf_counter() - started


def dictionary_k_core(ratings: Path, k: int) -> dict[str, list[str]]:
    """The way it is often written: rows as tuples, counts as dictionaries, sequences as lists."""
    with ratings.open(newline="") as file:
        rows = [(user, item, int(when)) for user, item, _, when in csv.reader(file)]
    while True:
        users, items = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
        kept = [row for row in rows if users[row[0]] >= k and items[row[1]] >= k]
        if len(kept) == len(rows):
            break
        rows = kept
    sequences = defaultdict(list)
    for user, item, when in rows:
        sequences[user].append((when, item))
    return {user: [item for _, item in sorted(actions)] for user, actions in sequences.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", type=Path, default=os.environ.get("MMSREC_MIRROR"), help="folder with amazon/")
    mirror = parser.parse_args().mirror
    if mirror is None:
        parser.error("name the folder of the raw files with --mirror or MMSREC_MIRROR")
    ratings, metadata = mirror / "amazon" / "ratings_Beauty.csv", mirror / "amazon" / "meta_Beauty.json.gz"
    with tempfile.TemporaryDirectory() as folder:
        raw = ("--domain", "beauty", "--raw", str(mirror))
        ingest, peak_ingest = stage("ingest.py", *raw, "--output", f"{folder}/ingested")
        core = ("--domain", "beauty", "--k-core", "5")
        prepare, peak = stage("prepare.py", *core, "--ingested", f"{folder}/ingested", "--output", f"{folder}/k5")
        named = (*core, "--split", "shuffle", "--core", f"{folder}/k5", "--output", f"{folder}/sequences.parquet")
        split, peak_split = stage("split.py", *named)
        inside = in_process(ratings, metadata, Path(folder) / "again")
    started = time.perf_counter()
    users = len(dictionary_k_core(ratings, 5))
    plain = time.perf_counter() - started
    print(f"ingest (ratings and metadata to tables)   {ingest:6.2f} s   peak {peak_ingest:5.0f} MiB")
    print(f"prepare (k-core, items, statistics)       {prepare:6.2f} s   peak so far {peak:5.0f} MiB")
    print(f"split (order, sequences)                  {split:6.2f} s   peak so far {peak_split:5.0f} MiB")
    print(f"all three, start-up included              {ingest + prepare + split:6.2f} s")
    print(f"all three, in one running process         {inside:6.2f} s")
    print(f"dictionaries, ratings to sequences only   {plain:6.2f} s   {users:,} users, no metadata, no tables")


if __name__ == "__main__":
    main()
