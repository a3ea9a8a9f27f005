"""The demo's report through Snakemake on a small world: from raw files to the page, then what a change redoes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mmsrec.files import read_json
from tests.integration.engines import ROOT, copy_workflow

SMALL = {
    "dim: 64, heads: 4": "dim: 16, heads: 2",
    "max_epochs: 8": "max_epochs: 3",
    "dim: 64, ngrams": "dim: 16, ngrams",
    "domains: [demo-shop, demo-films]": "domains: [demo-shop]",
    "demo-text, demo-vision, demo-both]": "demo-both]",
    "[demo-clip, demo-pretrained]": "[demo-pretrained]",
    "\n      - {domains: [demo-wear], k_cores: [5], variants: [pop, demo-both], seeds: [0]}": "",
}


def edit(project, changes):
    text = (project / "params.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text)


def run(project, *command):
    """Runs a Python command in the project; returns what it printed."""
    environment = os.environ | {"MMSREC_MIRROR": str(project / "mirror"), "OMP_NUM_THREADS": "1"}
    # The scripts are called as `python`, which must be this one.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=environment, text=True, capture_output=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def snakemake(project, *flags):
    """Runs the demo's report with its web server beside it."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "results/reports/demo", *flags]
    return run(project, "workflow/scripts/serve_demo.py", "--mirror", "mirror", "--", *command)


def planned(output):
    """Jobs by rule, from the table that a dry run prints."""
    return Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", output, re.M) if name != "total"})


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    copy_workflow(folder)
    shutil.copytree(ROOT / "mmsrec/demo", folder / "mmsrec/demo")
    for script, flags in {"make_demo.py": [], "make_demo_clips.py": ["--encoder", "demo-clip"]}.items():
        run(folder, f"workflow/scripts/{script}", "--output", "mirror", "--size", "test", "--seed", "1", *flags)
    edit(folder, SMALL)
    snakemake(folder)
    return folder


def test_the_report_shows_every_experiment(project):
    report = project / "results/reports/demo"
    table = (report / "table3.md").read_text()
    assert "demo-shop" in table
    assert "pop" in table
    assert "demo-both" in table
    assert "demo-pretrained" in table
    assert "untrained" in (report / "table1.md").read_text()
    assert (report / "report.html").read_text().startswith("<!")


def test_raw_files_have_their_record(project):
    record = read_json(project / "data/raw/demo/ratings_Demo.csv.json")
    assert record["url"] == "mirror:demo/ratings_Demo.csv"
    assert record["bytes"] == (project / "data/raw/demo/ratings_Demo.csv").stat().st_size


def test_a_second_run_has_nothing_to_do(project):
    assert "Nothing to be done" in snakemake(project, "-n")


def test_a_training_parameter_redoes_training_and_what_follows(project):
    before = (project / "params.yaml").read_text()
    edit(project, {"whiten: true, batch_size": "whiten: true, clip_norm: 0.9, batch_size"})
    jobs = planned(snakemake(project, "-n"))
    (project / "params.yaml").write_text(before)
    assert jobs == {"train": 2, "evaluate": 2, "collect_results": 2, "report": 1}


def test_a_killed_training_ends_with_the_same_bytes(project):
    flags = [
        *("workflow/scripts/train.py", "--domain", "demo-shop", "--k-core", "5", "--variant", "demo-pretrained"),
        *("--seed", "0", "--data", "data/processed/demo-shop/k5", "--features", "data/features/demo-shop"),
        *("--pretrained", "models/pretrain"),
    ]
    folder = project / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *flags, "--output", str(folder)], cwd=project, env=environment)
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoint-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "weights.safetensors").exists()

    assert re.search(r"continuing in epoch \d+ after step \d+", run(project, *flags, "--output", str(folder)))
    unbroken = project / "unbroken"
    run(project, *flags, "--output", str(unbroken))
    for name in ("weights.safetensors", "last.safetensors", "config.json"):
        assert (folder / name).read_bytes() == (unbroken / name).read_bytes()
