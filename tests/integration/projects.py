"""Copies of the workflow with the demo's world on a small scale, and how to run commands in them."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from mmsrec.demo.addresses import MEDIA
from tests.integration.engines import ROOT, copy_workflow

SMALL = {
    "dim: 64, heads: 4": "dim: 16, heads: 2",
    "max_epochs: 8": "max_epochs: 3",
    "decay: 0.95, max_epochs: 40, batch_size: 64": "max_epochs: 15, batch_size: 256",
    "max_epochs: 20, logit": "max_epochs: 3, logit",
    "dim: 64, ngrams": "dim: 16, ngrams",
    "domains: [demo-shop, demo-films]": "domains: [demo-shop]",
    '\n          - {label: "features, no training", variant: demo-content}': "",
    "\n          - {label: item ids, variant: demo-sasrec}": "",
    "\n          - {label: blend, variant: demo-blend}": "",
    "\n          - {label: texts, variant: demo-text}": "",
    "\n          - {label: pictures, variant: demo-vision}": "",
    "w/o pre-training, variant: demo-clip": "w/o pre-training, variant: demo-both",
    "k_cores: [5, 6], splits: [shuffle], seeds: [0]": "k_cores: [5], splits: [shuffle], seeds: [0]",
    "\n    experiments:"
    "\n      - {domains: [demo-wear], k_cores: [5], splits: [shuffle], variants: [pop, demo-both], seeds: [0]}": "",
}
REPORT = "results/reports/demo"
RESULTS = ("models/**/*.safetensors", "results/**/metrics.json", f"{REPORT}/[crs]*.csv")
SECONDS = {"seconds"}  # columns that tell how long something took


def make_project(folder: Path) -> None:
    """Copies the workflow with a small demo report, and writes a small world as its mirror."""
    copy_workflow(folder)
    shutil.copytree(ROOT / "mmsrec/demo", folder / "mmsrec/demo")
    for script, flags in {"make_demo.py": [], "make_demo_clips.py": ["--encoder", "demo-clip"]}.items():
        run(folder, f"workflow/scripts/{script}", "--output", "mirror", "--size", "test", "--seed", "1", *flags)
    edit(folder, SMALL)


def edit(project: Path, changes: Mapping[str, str]) -> None:
    """Replaces text of params.yaml, all of which must be there."""
    text = (project / "params.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text)


def start(project: Path, *command: str, mirror: str = "", **options: object) -> subprocess.Popen:
    """Starts a Python command in the project, in a separate process group."""
    places = ",".join(filter(None, [mirror, MEDIA, str(project / "mirror")]))
    environment = os.environ | {"MMSREC_MIRROR": places, "OMP_NUM_THREADS": "1"}
    if "dvc" in command:
        # DVC calls the scripts as `python`, which must be this one. Snakemake finds it by itself.
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.Popen(
        [sys.executable, *command], cwd=project, env=environment, text=True, start_new_session=True, **options
    )


def run(project: Path, *command: str, **options: str) -> str:
    """Runs a Python command in the project to its end; returns what it printed."""
    process = start(project, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    try:
        printed, _ = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, printed
    return printed


def serving(*command: str) -> list[str]:
    """The command that runs another one with the demo's web server beside it."""
    return ["workflow/scripts/serve_demo.py", "--mirror", "mirror", "--", sys.executable, *command]


def snakemake(project: Path, *flags: str, target: str = REPORT, warm: bool = False, **options: str) -> str:
    """Makes a target, by default the demo's report, and returns what Snakemake printed.

    Args:
        warm: stages run in forks of one process that has imported their packages.
    """
    command = serving("-m", "snakemake", "--cores", "2", target, *flags)
    if warm:
        command = ["workflow/scripts/warm_stages.py", "--", sys.executable, *command]
    return run(project, *command, **options)


def tables(project: Path) -> dict[str, Path]:
    """All Parquet files that stages made, by their paths in the project."""
    return {
        str(path.relative_to(project)): path
        for root in ("data", "models", "results")
        for path in (project / root).rglob("*.parquet")
    }


def same_rows(one: Path, other: Path) -> bool:
    """Whether two tables have the same bytes, or the same rows apart from the seconds that something took."""
    if SECONDS & set(pq.read_schema(one).names):
        left, right = (pq.read_table(path).drop_columns(list(SECONDS)) for path in (one, other))
        return left.equals(right)
    return one.read_bytes() == other.read_bytes()


def planned(output: str) -> Counter[str]:
    """Jobs by rule, from the table that a dry run prints."""
    return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.M) if name != "total"})
