"""The demo's report through Snakemake on a small world: made in one go, changed, and killed in every stage.

One file, because the links of the demo name one port, and all of this compares with one project.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mmsrec import gpus
from mmsrec.files import read_json
from tests.integration.engines import copy_workflow
from tests.integration.projects import (
    RESULTS,
    edit,
    make_project,
    planned,
    same_rows,
    serving,
    snakemake,
    start,
    tables,
)
from tests.servers import Reply, Server

SLOW_FILE = "demo/ratings_Demo.csv"
# A file that exists while a stage runs, and a file that exists only after its end.
STAGES = {
    "download": ("data/raw/demo/.ratings_Demo.csv.part", f"data/raw/{SLOW_FILE}"),
    "crawl_images": ("data/media/demo-shop/ledger.jsonl", "data/media/demo-shop/ledger.parquet"),
    "extract_picture_features": (
        "logs/extract_picture_features/demo-shop/demo-clip.log",
        "data/features/demo-shop/demo-clip/vision.parquet",
    ),
    "pretrain": ("models/pretrain/demo/checkpoint-*.pt", "models/pretrain/demo/weights.safetensors"),
    "train": (
        "models/demo-shop/k5/shuffle/demo-both/seed0/checkpoint-*.pt",
        "models/demo-shop/k5/shuffle/demo-both/seed0/weights.safetensors",
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose small demo report has been made in one go."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    printed = snakemake(folder, warm=True)
    if not gpus.visible():
        assert re.search(r"\d+ trainings run on CPU cores\.\nThe report demo takes about .+ on 2 cores\.\n", printed)
    return folder


def test_the_report_shows_every_experiment(project):
    report = project / "results/reports/demo"
    table = (report / "comparison.md").read_text()
    assert "demo-shop" in table
    assert "pop" in table
    assert "demo-both" in table
    assert "demo-pretrained" in table
    assert "untrained" in (report / "retrieval.md").read_text()
    assert "0 in training" in (report / "rare.md").read_text()
    assert (report / "report.html").read_text().startswith("<!")


def test_raw_files_have_their_record(project):
    record = read_json(project / "data/raw/demo/ratings_Demo.csv.json")
    assert record["url"] == "mirror:demo/ratings_Demo.csv"
    assert record["bytes"] == (project / "data/raw/demo/ratings_Demo.csv").stat().st_size


def test_a_second_run_has_nothing_to_do(project):
    assert "Nothing to be done" in snakemake(project, "-n")


def test_a_training_parameter_redoes_training_and_what_follows(project):
    before = (project / "params.yaml").read_text()
    edit(project, {"learning_rate: 0.003, batch_size": "learning_rate: 0.004, batch_size"})
    jobs = planned(snakemake(project, "-n"))
    (project / "params.yaml").write_text(before)
    assert jobs == {"train": 2, "evaluate": 2, "collect_report_demo": 1, "report": 1}


def under_way(project: Path, pattern: str) -> bool:
    """Whether a file of this name is there with something in it."""
    try:
        return any(path.stat().st_size for path in project.glob(pattern))
    except FileNotFoundError:  # a checkpoint that gave way to the next one
        return False


def kill_in(project: Path, stage: str, **options: str) -> None:
    """Runs the pipeline towards a stage's output until the stage is at work, and kills all of its processes at once."""
    begun, ended = STAGES[stage]
    process = start(project, *serving("-m", "snakemake", "--cores", "2", ended), **options)
    deadline = time.monotonic() + 240
    try:
        while not under_way(project, begun):
            assert process.poll() is None, f"ended before {stage}"
            assert time.monotonic() < deadline, f"never came to {stage}"
            time.sleep(0.002)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (project / ended).exists(), f"{stage} was over before it was killed"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A project whose pipeline was killed once in every stage of STAGES and then went on to its end."""
    folder = tmp_path_factory.mktemp("broken")
    make_project(folder)
    body = (folder / "mirror" / SLOW_FILE).read_bytes()
    version = {"ETag": '"1"'}  # without one, a download begins again
    slow, fast = Reply(body, headers=version, chunk=500, pause=0.05), Reply(body, headers=version)
    with Server({f"/{SLOW_FILE}": [slow, fast]}) as server:
        for stage in STAGES:
            kill_in(folder, stage, mirror=server.base)
            # A killed Snakemake leaves the folder locked, as its message says.
            snakemake(folder, "--unlock")
        snakemake(folder, mirror=server.base, warm=True)
        assert [request.headers.get("Range") is None for request in server.asked(f"/{SLOW_FILE}")] == [True, False]
    return folder


def test_all_tables_are_the_same(project, broken):
    expected, found = tables(project), tables(broken)
    assert found.keys() == expected.keys()
    assert not [name for name, path in found.items() if not same_rows(path, expected[name])]


@pytest.mark.parametrize("pattern", RESULTS)
def test_weights_metrics_and_reported_tables_are_the_same(project, broken, pattern):
    names = sorted(str(path.relative_to(project)) for path in project.glob(pattern))
    assert names
    assert names == sorted(str(path.relative_to(broken)) for path in broken.glob(pattern))
    for name in names:
        assert (broken / name).read_bytes() == (project / name).read_bytes(), name


def test_nothing_half_done_is_left(broken):
    patterns = ("*.part", "*.part.json", "*.tmp", "checkpoint-*.pt", ".*.parts", ".partial")
    left = [path for pattern in patterns for path in broken.rglob(pattern) if ".snakemake" not in path.parts]
    assert not left


def test_both_have_the_same_media(project, broken):
    sizes = [
        {str(path.relative_to(root)): path.stat().st_size for path in (root / "data/media").rglob("files/*/*")}
        for root in (project, broken)
    ]
    assert sizes[0]
    assert sizes[0] == sizes[1]


def test_the_message_of_a_failed_job_is_the_last_thing(tmp_path):
    copy_workflow(tmp_path)
    (tmp_path / "data/raw/demo").mkdir(parents=True)
    for name in ("ratings_Demo.csv", "meta_Demo.json.gz"):
        (tmp_path / "data/raw/demo" / name).write_text("damaged")
        (tmp_path / "data/raw/demo" / f"{name}.json").write_text("{}")
    process = start(
        tmp_path,
        *("-m", "snakemake", "--cores", "1", "data/ingested/demo-shop/items.parquet"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    log = "logs/ingest/demo-shop.log"
    message = "error: " + (tmp_path / log).read_text().split("error: ")[1].strip()
    after = printed.rpartition(f"{log}:\n")[2]
    assert message in after
    assert len(after.splitlines()) < len(message.splitlines()) + 8
