"""The demo's report through Slurm by profiles/slurm, on a cluster of this machine.

It is made while the controller restarts and a training is cancelled, and then has the bytes of a local run.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmsrec.demo.addresses import MEDIA
from tests.integration.projects import REPORT, RESULTS, edit, make_project, same_rows, serving, snakemake, tables
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.usefixtures("slurm")

PROFILES = ("--profile", "profiles/demo", "--workflow-profile", "profiles/slurm")
# Short pauses for short jobs.
HERE = ("--cores", "2", "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5")
MODEL = "models/demo-shop/k5/shuffle/demo-both/seed0"
SEQUENCES = "data/processed/demo-shop/k5/shuffle/sequences.parquet"
SECONDS = 3000  # the run takes five minutes on two free cores


@pytest.fixture(scope="module")
def cluster(slurm, tmp_path_factory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def local(slurm, tmp_path_factory) -> Path:
    """A project that has been made without Slurm. It begins as a copy of what `far` begins with."""
    folder = tmp_path_factory.mktemp("projects") / "local"
    folder.mkdir()
    make_project(folder)
    shutil.copytree(folder, folder.with_name("far"))
    snakemake(folder, warm=True)
    return folder


@pytest.fixture(scope="module")
def restarted(local, cluster) -> list[str]:
    """Makes the same project through Slurm. The controller restarts while the training of `pop` runs.

    Returns:
        The jobs whose steps ran at that time.
    """
    folder = local.with_name("far")
    with submitting(cluster, folder, REPORT) as run:
        wait(run, (folder / "logs/train/demo-shop/k5/shuffle/pop/seed0.log").exists)
        running = cluster.ask("squeue", "--steps", "--noheader", "--format=%i").split()
        print(cluster.ask("squeue", "--format=%.6i %.9T %.6M %.4C %.8m %k"))
        cluster.stop_controller()
        time.sleep(5)
        cluster.start_controller()
    return [step.partition(".")[0] for step in running if step.endswith(".0")]


@pytest.fixture(scope="module")
def far(local, restarted) -> Path:
    """The project that has been made through Slurm."""
    return local.with_name("far")


class submitting:
    """Snakemake with the profile for Slurm, beside the demo's web; the block's end waits for its success."""

    def __init__(self, cluster: Cluster, project: Path, *flags: str) -> None:
        command = serving("-m", "snakemake", *PROFILES, *HERE, *flags)
        mirror = {"MMSREC_MIRROR": f"{MEDIA},{project / 'mirror'}", "OMP_NUM_THREADS": "1"}
        self.log = project / "submitting.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=project,
                env=os.environ | mirror | cluster.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "submitting":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind:
            self.process.terminate()
        status = self.process.wait(timeout=SECONDS)
        assert kind or not status, self.log.read_text()

    @property
    def printed(self) -> str:
        return self.log.read_text()


def wait(run: submitting, ready: Callable[[], bool]) -> None:
    """Waits until something is so, while a run goes on."""
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert run.process.poll() is None, run.printed
        assert time.monotonic() < deadline, run.printed
        time.sleep(0.5)


def job_of(cluster: Cluster, comment: str) -> str | None:
    """The id of a running job whose comment, which has its rule, begins so."""
    rows = (cluster.asks("squeue", "--noheader", "--states=RUNNING", "--format=%i %k") or "").splitlines()
    return next((row.split()[0] for row in rows if row.split(" ")[1].startswith(comment)), None)


def states(cluster: Cluster, since: int) -> list[str]:
    return [job["JobState"] for job in cluster.completed()[since:]]


def test_the_results_are_those_of_a_local_run(local, far):
    expected, found = tables(local), tables(far)
    assert found.keys() == expected.keys()
    assert not [name for name, path in found.items() if not same_rows(path, expected[name])]
    for pattern in RESULTS:
        names = sorted(str(path.relative_to(local)) for path in local.glob(pattern))
        assert names
        assert not [name for name in names if (far / name).read_bytes() != (local / name).read_bytes()]


def test_the_jobs_that_ran_while_the_controller_restarted_are_completed(restarted, cluster):
    completed = {job["JobId"]: job["JobState"] for job in cluster.completed()}

    assert restarted
    assert {completed[job] for job in restarted} == {"COMPLETED"}


def test_small_stages_are_one_job(far, cluster):
    printed = (far / "submitting.log").read_text()
    stages = int(re.search(r"^total +(\d+)$", printed, re.MULTILINE)[1])

    assert len(cluster.completed()) < stages * 3 / 4


def test_a_second_run_has_nothing_to_do(far, cluster):
    before = len(cluster.completed())
    with submitting(cluster, far, REPORT) as run:
        pass

    assert "Nothing to be done" in run.printed
    assert len(cluster.completed()) == before


def test_a_cancelled_training_goes_on_from_its_checkpoint(local, far, cluster):
    before, weights = len(cluster.completed()), f"{MODEL}/weights.safetensors"
    for project in (local, far):
        edit(project, {"max_epochs: 3, logit": "max_epochs: 80, patience: 80, logit"})
    snakemake(local, target=weights)
    with submitting(cluster, far, weights) as run:
        wait(run, lambda: any((far / MODEL).glob("checkpoint-*.pt")))
        cluster.ask("scancel", job_of(cluster, "rule_train"))

    assert states(cluster, before) == ["CANCELLED", "COMPLETED"]
    assert "continuing in epoch" in (far / f"logs/train/{MODEL.removeprefix('models/')}.log").read_text()
    assert (far / weights).read_bytes() == (local / weights).read_bytes()


def test_a_job_that_takes_too_much_memory_gets_more(local, far, cluster):
    limits = far / "workflow/resources.csv"
    text = limits.read_text()
    limits.write_text(re.sub("^split,.*", "split,60,220,0", text, flags=re.MULTILINE))
    before = len(cluster.completed())
    with submitting(cluster, far, SEQUENCES, "--forcerun", SEQUENCES):
        pass
    limits.write_text(text)

    asked = [re.search(r"mem=(\w+)", job["Tres"])[1] for job in cluster.completed()[before:]]
    assert states(cluster, before)[0] in {"FAILED", "OUT_OF_MEMORY"}
    assert states(cluster, before)[-1] == "COMPLETED"
    assert asked == ["220M", "440M", "880M"][: len(asked)]
    assert (far / SEQUENCES).read_bytes() == (local / SEQUENCES).read_bytes()
