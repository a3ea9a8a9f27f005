"""Remotes of DVC: one clone pushes, another one pulls, and continues without a crawl.

The stages only write their files. The remote is a folder, or a bucket of a local S3 server, which `make test-remotes`
installs with DVC's S3 support.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, closing
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from dvc.cli import main as dvc_main

from tests.integration.engines import ANY_DOMAIN, ROOT, copy_workflow, edit

# Each stage appends its name to runs.txt and writes the files that it declares, made of the parameters if it trains.
STAGE = """
import sys
from pathlib import Path

stage = Path(sys.argv[0]).stem
experiment = "own/k5/source/both/seed0"
outputs = {
    "ingest": ["data/ingested/own/interactions.parquet", "data/ingested/own/items.parquet"],
    "prepare": [
        f"data/processed/own/k5/{name}" for name in ("interactions.parquet", "items.parquet", "statistics.json")
    ],
    "split": ["data/processed/own/k5/source/sequences.parquet"],
    "crawl_images": ["data/media/own/ledger.parquet", "data/media/own/picture.jpg"],
    "extract_features": [f"data/features/own/clip/{sys.argv[-1]}.parquet"],
    "train": [
        f"models/{experiment}/{name}"
        for name in ("weights.safetensors", "last.safetensors", "config.json", "history.parquet")
    ],
    "evaluate": [f"results/{experiment}/ranks.parquet", f"results/{experiment}/metrics.json"],
    "report": [f"results/{kind}/small/own.json" for kind in ("reports", "metrics", "curves", "bars")],
}[stage]
text = Path("params.yaml").read_text() if stage == "train" else stage
for output in map(Path, outputs):
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
with open("runs.txt", "a") as runs:
    runs.write(stage + " ")
"""
STAGES = ["ingest", "prepare", "split", "crawl_images", "extract_features", "train", "evaluate", "report"]
ALL = sorted([*STAGES, "extract_features"])  # of pictures and of texts
RAW = ("data/raw/own/sales.csv", "data/raw/own/articles.csv")
FEATURES = {f"data/features/own/clip/{modality}.parquet" for modality in ("vision", "text")}
REPORT = "report@small"
TRAINING = "train@own-k5-source-both-seed0"
# The environment of `make test-remotes`, which has DVC with S3 and a server of S3.
OPT_IN = "MMSREC_REMOTES"
EXTRAS = ROOT / ".remotes" / "bin"
BUCKET = "shared"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

Dvc = Callable[..., None]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=["file", "s3"])
def remote(request: pytest.FixtureRequest) -> tuple[dict[str, str], Dvc]:
    """The settings of an empty remote, and how to run DVC with it."""
    return request.getfixturevalue(f"{request.param}_remote")


@pytest.fixture
def file_remote(tmp_path: Path) -> tuple[dict[str, str], Dvc]:
    def dvc(project: Path, *words: str) -> None:
        with chdir(project):
            assert dvc_main(list(words)) == 0

    return {"url": str(tmp_path / "store")}, dvc


@pytest.fixture
def s3_remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, str], Dvc]]:
    if OPT_IN not in os.environ:
        pytest.skip(f"`make test-remotes` installs a server of S3 and runs this test ({OPT_IN} is not set)")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [EXTRAS / "moto_server", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        make_bucket(address)
        yield {"url": f"s3://{BUCKET}/mmsrec", "endpointurl": address}, dvc_with_s3
    finally:
        server.kill()
        server.wait()


def make_bucket(address: str) -> None:
    """Makes a bucket as soon as the server answers."""
    for _ in range(300):
        try:
            urlopen(Request(f"{address}/{BUCKET}", method="PUT"), timeout=10).close()
        except HTTPError:
            raise
        except URLError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(address)


def dvc_with_s3(project: Path, *words: str) -> None:
    subprocess.run([EXTRAS / "python", "-m", "dvc", *words], cwd=project, check=True, timeout=600)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git repository with such stages, and a domain whose items have pictures and texts."""
    folder = tmp_path / "first"
    copy_workflow(folder)
    (folder / ".dvc" / "config.local").unlink()
    for name in (".gitignore", ".dvc/.gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / ".gitignore").open("a").write("runs.txt\n")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    for stage in STAGES:
        (folder / f"workflow/scripts/{stage}.py").write_text(STAGE)
    own = {"source": "table", "interactions": "own/sales.csv", "items": "own/articles.csv", "text_fields": ["title"]}
    grid = {"domains": ["own"], "k_cores": [5], "splits": ["source"], "variants": ["both"], "seeds": [0]}
    with chdir(folder):
        edit(
            {
                **ANY_DOMAIN,
                "corpora": {},
                "pretrainings": {},
                "domains": {"own": {**own, "vision": {"kind": "image"}, "k_core": 5}},
                "variants": {"both": {"model": "mmsrec", "encoders": {"vision": "clip", "text": "clip"}}},
                "reports": {"small": {"title": "Small", "exhibits": ["statistics"], "experiments": [grid]}},
            }
        )
    git(folder, "init")
    put_raw_files(folder)
    return folder


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def clone(project: Path, name: str) -> Path:
    folder = project.parent / name
    git(project.parent, "clone", str(project), str(folder))
    return folder


def put_raw_files(project: Path) -> None:
    for name in RAW:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("a,b")


def runs(project: Path) -> list[str]:
    """The stages that have run since the last call."""
    record = project / "runs.txt"
    stages = record.read_text().split() if record.exists() else []
    record.unlink(missing_ok=True)
    return sorted(stages)


def files(project: Path) -> set[str]:
    """The files of data, models and results."""
    found = [path for top in ("data", "models", "results") for path in (project / top).rglob("*") if path.is_file()]
    return {path.relative_to(project).as_posix() for path in found}


def test_a_colleague_pulls_and_continues_without_a_crawl(project, remote):
    settings, dvc = remote
    dvc(project, "repro", REPORT)
    assert runs(project) == ALL
    made = files(project)
    configuration = "".join(f"    {name} = {value}\n" for name, value in settings.items())
    (project / ".dvc/config").write_text(f"[core]\n    remote = shared\n['remote \"shared\"']\n{configuration}")
    dvc(project, "push")
    git(project, "add", ".")
    git(project, "commit", "--message", "All stages ran")

    whole = clone(project, "whole")
    dvc(whole, "pull")
    assert files(whole) == made - {*RAW, "data/media/own/picture.jpg"}, "raw files and media stay where they are"
    dvc(whole, "repro", "--allow-missing", REPORT)
    put_raw_files(whole)
    dvc(whole, "repro", REPORT)
    assert not runs(whole)

    part = clone(project, "part")
    dvc(part, "pull", "extract_picture_features", "extract_text_features")
    assert files(part) == FEATURES
    with chdir(part):
        edit({"trainer.learning_rate": 0.5}, plan=False)
    dvc(part, "repro", "--pull", "--allow-missing", TRAINING)
    assert runs(part) == ["train"]
    assert not any("media" in name or "raw" in name or "ingested" in name for name in files(part))
