"""Every stage of a small project, stopped by a signal or a full disk at a seeded moment and run again."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from mmsrec.demo.mirror import make_world, write_mirror
from mmsrec.demo.server import serving
from mmsrec.demo.taste_world import SIZES
from mmsrec.files import read_json, write_json
from tests.integration.engines import ROOT, copy_workflow
from tests.integration.projects import SMALL, edit

FAULTS = ("SIGTERM", "SIGKILL", "SIGINT", "full disk")
SHOP, CUT = "--domain=demo-shop", ("--k-core=5", "--split=shuffle")
TRAINED = (SHOP, *CUT, "--variant=demo-both", "--seed=0")
FEATURES = ("extract_features", "--encoder=demo-clip")
# Each row is a stage script with its flags, in an order in which their inputs are there.
STAGES: dict[str, tuple[str, ...]] = {
    "make_demo": ("make_demo", "--output=made", "--size=test", "--seed=1"),
    "make_demo_clips": ("make_demo_clips", "--output=made", "--size=test", "--seed=1", "--encoder=demo-clip"),
    "download": ("download", "demo/ratings_Demo.csv"),
    "download from a folder": ("download", "demo/meta_Demo.json.gz"),
    "download a zip": ("download", "demo/films.zip"),
    "download trailer ids": ("download", "demo/ml-youtube.csv"),
    "download captions": ("download", "demo/MSRVTT_JSFUSION_test.csv"),
    "download wear": ("download", "demo/ratings_Wear.csv"),
    "download wear items": ("download", "demo/meta_Wear.json.gz"),
    "download new items": ("download", "demo/meta_New.json.gz"),
    "ingest": ("ingest", SHOP),
    "ingest wear": ("ingest", "--domain=demo-wear"),
    "ingest films": ("ingest", "--domain=demo-films"),
    "unite": ("unite", "--domain=both"),
    "prepare": ("prepare", SHOP, "--k-core=5"),
    "prepare films": ("prepare", "--domain=demo-films", "--k-core=5"),
    "split": ("split", SHOP, *CUT),
    "attributes": ("attributes", SHOP, "--k-core=5"),
    "ingest_items": ("ingest_items", "--catalogue=demo-new"),
    "crawl_images": ("crawl_images", SHOP),
    "crawl_trailers": ("crawl_trailers", "--domain=demo-films"),
    "ingest_clips": ("ingest_clips", "--corpus=demo-videos"),
    "collect_clips": ("collect_clips", "--corpus=demo-videos"),
    "sample_frames": ("sample_frames", "--collection=demo-videos"),
    "extract text": ("extract_features", "--encoder=lsa-small", "--collection=demo-shop", "--modality=text"),
    "extract text by clip": (*FEATURES, "--collection=demo-shop", "--modality=text"),
    "extract pictures": (*FEATURES, "--collection=demo-shop", "--modality=vision"),
    "extract frames": (*FEATURES, "--collection=demo-videos", "--modality=vision"),
    "extract captions": (*FEATURES, "--collection=demo-videos", "--modality=text"),
    "pair_features": ("pair_features", "--corpus=demo-videos", "--encoder=demo-clip"),
    "pair_items": ("pair_items", "--corpus=shop-pairs", "--encoder=demo-clip"),
    "download_corpus": ("download_corpus", "--corpus=demo-clips"),
    "encode_pairs": ("encode_pairs", "--corpus=demo-clips", "--encoder=demo-clip"),
    "pretrain": ("pretrain", "--pretraining=demo", "--checkpoint-minutes=0"),
    "evaluate_retrieval": ("evaluate_retrieval", "--pretraining=demo", "--corpus=demo-videos"),
    "train": ("train", *TRAINED, "--checkpoint-minutes=0"),
    "train pop": ("train", *TRAINED[:-2], "--variant=pop", "--seed=0"),
    "evaluate": ("evaluate", *TRAINED),
    "evaluate pop": ("evaluate", *TRAINED[:-2], "--variant=pop", "--seed=0"),
    "report": ("report", "--report=demo", "--partial"),
    "export_runs": ("export_runs", "--report=demo", "--output=results/runs.csv"),
    "recommend": ("recommend", "models/demo-shop/k5/shuffle/demo-both/seed0", "--output=results/best.parquet"),
    "recommend a page": ("recommend", "models/demo-shop/k5/shuffle/demo-both/seed0", "--page=results/page"),
    "plan": ("plan", "--output=workflow/plan2.yaml"),
}
ROWS = {
    "\n  demo-videos:": "\n  shop-pairs: {kind: domain, domain: demo-shop}\n  demo-videos:",
    "\n  demo-wear:\n": "\n  both: {source: union, of: [demo-shop, demo-wear], k_core: 5}\n  demo-wear:\n",
}
# Files that a stage keeps when it is stopped; the next run may not write them again.
KEPT = re.compile(
    r"data/media/.+/files/.+|data/(features|frames)/.*\.parts/.+|data/pairs/.+-\d+.*\.parquet|(?!.*/\.partial/).+\.tar"
)
LEFT = re.compile(r"\.tmp$|\.part(\.json)?$|/checkpoint-|\.parts(/|$)|/\.partial(/|$)|\.shards\.json$")
GROWING = (".jsonl", "media/made.json")  # what a killed run goes on from
LONGEST = 600  # seconds that a stage may take on a busy machine
STATUS = {"SIGTERM": 143, "SIGKILL": 137, "SIGINT": 130, "full disk": 1}
DELAYS = (0, 0, 0.003, 0.01, 0.03)  # seconds between an action on a file and the signal
SIZE = 1 << 31
FOLDER_ALONE = "demo/meta_Demo.json.gz"  # comes from the folder of the mirror
# The answers of these faults depend on the number of requests, or take long.
CHANGING = {"flaky", "throttled", "slow", "cut off"}
# The stages that the tests stop every time: they need no media. A stage without a fault makes what others need.
TEXTS = ("--domain=demo-shop", *CUT, "--variant=demo-text", "--seed=0")
SOME: dict[str, tuple[tuple[str, ...], str]] = {
    "download": (STAGES["download"], "SIGTERM"),
    "download from a folder": (STAGES["download from a folder"], ""),
    "ingest": (STAGES["ingest"], "full disk"),
    "prepare": (STAGES["prepare"], "SIGKILL"),
    "split": (STAGES["split"], ""),
    "extract text": (STAGES["extract text"], "full disk"),
    "train": (("train", *TEXTS, "--checkpoint-minutes=0"), "SIGKILL"),
    "evaluate": (("evaluate", *TEXTS), "SIGINT"),
}


@dataclass
class Run:
    """How a stage ended, what it said, its actions (an event and a path), and the processes that it left."""

    status: int
    said: str
    actions: list[list[str]]
    left: list[str]


@dataclass
class Project:
    """A folder with the workflow; its stages run in forks of a server and use the web of the demo world.

    Attributes:
        folder: the project. The disk begins in its parent.
        actions: receives the actions of a stage.
        address: of the server of stages.
        web: base URL of the demo world.
        resizable: whether the disk can be made small.
    """

    folder: Path
    actions: Path
    address: str
    web: str
    resizable: bool

    def run(self, command: Sequence[str], fault: str = "") -> Run:
        script, *flags = command
        self.actions.unlink(missing_ok=True)
        environment = {
            "MMSREC_STAGES": self.address,
            "MMSREC_ACTIONS": str(self.actions),
            "MMSREC_FAULT": fault,
            "MMSREC_MIRROR": "mirror" if FOLDER_ALONE in flags else f"{self.web},mirror",
            "OMP_NUM_THREADS": "1",
            "no_proxy": "127.0.0.1",
        }
        runner = ROOT / "tests/integration/faulty_stage.py"
        said = self.actions.with_name("said")
        with said.open("w") as file:
            # A process that outlives the stage may keep a pipe open, so the output goes to a file.
            done = subprocess.run(
                [sys.executable, runner, self.folder / f"workflow/scripts/{script}.py", *flags],
                cwd=self.folder,
                env=os.environ | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=LONGEST,
            )
        group, *lines = self.actions.read_text().splitlines()
        left = end_group(int(group))
        return Run(done.returncode, said.read_text(), [line.split("\t", 1) for line in lines], left)

    def files(self) -> dict[str, tuple[int, int]]:
        """Each file with its inode and the time of its last change."""
        found = {}
        for path in self.folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                state = path.stat()
                found[str(path.relative_to(self.folder))] = (state.st_ino, state.st_mtime_ns)
        return found

    def contents(self, names: Iterable[str]) -> dict[str, object]:
        return {name: content(self.folder / name) for name in names}


class Trial:
    """A stage that has run once without a fault, and is then stopped again and again."""

    def __init__(self, project: Project, stage: str, command: Sequence[str]) -> None:
        self.project, self.stage, self.command = project, stage, command
        self.before = project.files()
        self.whole = project.run(self.command)
        assert self.whole.status == 0, f"{stage}: {self.whole.said}"
        self.made = project.contents(self.new())
        self.bytes = sum((project.folder / name).stat().st_size for name in self.made)

    def new(self) -> dict[str, tuple[int, int]]:
        """The files that the stage has made or changed."""
        return {name: state for name, state in self.project.files().items() if self.before.get(name) != state}

    def undo(self) -> None:
        for name in self.new():
            assert name not in self.before, f"{self.stage} changes {name}"
            (self.project.folder / name).unlink()

    def stop(self, fault: str, moments: random.Random, delays: Sequence[float]) -> tuple[str, list[str]]:
        """Stops the stage and runs it again; gives the outcome and what is wrong about it."""
        if fault == "full disk" and not self.project.resizable:
            return "no such disk", []
        self.undo()
        run, where = self._fill(moments) if fault == "full disk" else self._kill(fault, moments, delays)
        wrong = list(self._checked(run, fault)) if run.status else []
        left = self.new()
        again = self.project.run(self.command)
        wrong += self._repeated(again, left)
        return ("stopped" if run.status else "not reached"), [f"{text} ({where})" for text in wrong]

    def _kill(self, fault: str, moments: random.Random, delays: Sequence[float]) -> tuple[Run, str]:
        moment = f"{fault} {moments.randint(1, len(self.whole.actions))} {moments.choice(delays)}"
        return self.project.run(self.command, moment), moment

    def _fill(self, moments: random.Random) -> tuple[Run, str]:
        disk = self.project.folder.parent
        share = moments.random()
        resize(disk, used(disk) + int(self.bytes * share))
        try:
            return self.project.run(self.command), f"space for {share:.2f} of {self.bytes:,} bytes"
        finally:
            resize(disk, SIZE)

    def _checked(self, run: Run, fault: str) -> Iterator[str]:
        if run.status != STATUS[fault]:
            yield f"status {run.status}: {run.said[-500:]}"
        if run.left:
            yield f"processes go on: {run.left}"
        if "Traceback" in run.said:
            yield f"a traceback: {run.said[-1500:]}"
        if fault == "full disk" and "disk is full" not in run.said:
            yield f"another message: {run.said[-700:]}"
        for name in self.new():
            if (
                name in self.made
                and not name.endswith(GROWING)
                and content(self.project.folder / name) != self.made[name]
            ):
                yield f"half a file: {name}"

    def _repeated(self, again: Run, left: Mapping[str, object]) -> Iterator[str]:
        if again.status:
            yield f"the next run ends with status {again.status}: {again.said[-700:]}"
            return
        found = self.project.contents(self.new())
        for name in found.keys() | self.made.keys():
            if found.get(name) != self.made.get(name):
                what = "is left" if name not in self.made else "is missing" if name not in found else "is another"
                yield f"after the next run: {name} {what}"
        for event, path in again.actions:
            if event in ("open", "os.rename") and path in left and KEPT.fullmatch(path):
                yield f"computed again: {path}"


@contextmanager
def make_project(folder: Path, actions: Path, address: str, resizable: bool, media: bool) -> Iterator[Project]:
    """Makes a project with a small world, perhaps with its media, and serves its web."""
    copy_workflow(folder)
    shutil.copytree(ROOT / "mmsrec/demo", folder / "mmsrec/demo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        web = f"http://127.0.0.1:{free.getsockname()[1]}"
    edit(folder, SMALL | ROWS)
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("http://127.0.0.1:8765", web))
    project = Project(folder, actions, address, web, resizable)
    write_mirror(folder / "mirror", make_world(SIZES["test"], 1), web)
    faults = folder / "mirror/media/faults.json"
    if media:
        world = ("--output=mirror", "--size=test", "--seed=1")
        base = ("make_demo", *world, f"--media-base={web}")
        for command in (base, ("make_demo_clips", *world, "--encoder=demo-clip")):
            run = project.run(command)
            assert not run.status, run.said
        write_json(faults, {path: fault for path, fault in read_json(faults).items() if fault not in CHANGING})
    else:
        write_json(faults, {})
        write_json(faults.with_name("search.json"), {})
    with serving(folder / "mirror", int(web.rpartition(":")[2])):
        yield project


def end_group(group: int) -> list[str]:
    """Waits for the end of a group's processes; kills those that go on, and gives their commands."""
    for _ in range(60):
        running = list(_members(group))
        if not running:
            return []
        time.sleep(0.05)
    for process, _ in running:
        os.kill(process, signal.SIGKILL)
    return [command for _, command in running]


def _members(group: int) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")[:200]
        except (FileNotFoundError, ProcessLookupError):
            continue


def content(path: Path) -> object:
    """The part of a file that must be equal after another run: everything but the time that something took."""
    if path.suffix == ".jsonl":  # items finish in any order, and the last line of an item counts
        return {row["item_id"]: row for row in map(json.loads, path.read_text().splitlines())}
    if path.name == "history.parquet":
        return pq.read_table(path).drop_columns(["seconds"])
    if path.suffix == ".json" and isinstance(read := read_json(path), dict) and "date" in read:
        return read | {"date": None}
    return path.read_bytes()


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mounts a disk of memory at a folder, whose size can change; False where that is not allowed."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    mounted = not subprocess.run(command, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def used(folder: Path) -> int:
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize
