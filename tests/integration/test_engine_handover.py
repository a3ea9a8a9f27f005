"""Each engine accepts the outputs of the other. Both run the real graph over stages that only write their files."""

import os
import socket
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from dvc.repo import Repo
from snakemake.cli import main as snakemake_main

from tests.integration.engines import ANY_DOMAIN, copy_workflow, edit

# Each stage writes the files that it declares, made of what it reads, and appends its name to runs.txt.
STAGE = """
import sys
from pathlib import Path

stage = Path(sys.argv[0]).stem
experiment = "own/k5/source/ids/seed0"
outputs = {
    "ingest": ["data/ingested/own/interactions.parquet", "data/ingested/own/items.parquet"],
    "prepare": [
        f"data/processed/own/k5/{file}" for file in ("interactions.parquet", "items.parquet", "statistics.json")
    ],
    "split": ["data/processed/own/k5/source/sequences.parquet"],
    "train": [
        f"models/{experiment}/{file}"
        for file in ("weights.safetensors", "last.safetensors", "config.json", "history.parquet")
    ],
    "evaluate": [f"results/{experiment}/ranks.parquet", f"results/{experiment}/metrics.json"],
    "report": [
        "results/reports/small/report.html",
        *(f"results/{kind}/small/{experiment}" for kind in ("metrics", "curves", "bars")),
    ],
}[stage]
reads = {
    "train": "params.yaml",
    "evaluate": f"models/{experiment}/weights.safetensors",
    "report": f"results/collected/small/results/{experiment}/metrics.json",
}
text = Path(reads[stage]).read_text() if stage in reads else ""
for output in map(Path, outputs):
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
with open("runs.txt", "a") as runs:
    runs.write(stage + " ")
if stage == "train":
    with open(f"models/{experiment}/checkpoint", "a") as checkpoint:
        checkpoint.write("an epoch ")
"""
TARGET = "report@small"
TRAINING = ["train", "evaluate", "report"]
ALL = ["ingest", "prepare", "split", *TRAINING]
CHECKPOINT = Path("models/own/k5/source/ids/seed0/checkpoint")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the workflow with such stages, a domain of one's own and one experiment, as the current folder."""
    copy_workflow(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for stage in ALL:
        Path(f"workflow/scripts/{stage}.py").write_text(STAGE)
    own = {"source": "table", "interactions": "own/sales.csv", "items": "own/articles.csv", "text_fields": ["title"]}
    grid = {"domains": ["own"], "k_cores": [5], "splits": ["source"], "variants": ["ids"], "seeds": [0]}
    edit(
        {
            **ANY_DOMAIN,
            "corpora": {},
            "pretrainings": {},
            "domains": {"own": {**own, "k_core": 5}},
            "variants": {"ids": {"model": "sasrec"}},
            "reports": {"small": {"title": "Small", "exhibits": ["statistics"], "experiments": [grid]}},
        }
    )
    Path("data/raw/own").mkdir(parents=True)
    for file in ("sales.csv", "articles.csv"):
        Path("data/raw/own", file).touch()


def snakemake(*flags: str) -> str:
    """Runs `snakemake FLAGS small` and returns what it says."""
    with redirect_stderr(StringIO()) as said, pytest.raises(SystemExit) as ended:
        snakemake_main(["--cores", "1", *flags, "small"])
    assert ended.value.code == 0, said.getvalue()
    return said.getvalue()


def dvc_repro() -> None:
    with Repo() as repo:
        repo.reproduce(TARGET)


def dvc_status() -> dict:
    with Repo() as repo:
        return repo.status(TARGET, with_deps=True)


def runs() -> list[str]:
    """The stages that have run since the last call."""
    record = Path("runs.txt")
    stages = record.read_text().split() if record.exists() else []
    record.unlink(missing_ok=True)
    return sorted(stages)


def test_dvc_takes_over_from_snakemake():
    snakemake()
    assert runs() == sorted(ALL)

    with Repo() as repo:
        repo.commit(TARGET, with_deps=True, force=True)
    assert not dvc_status()

    edit({"trainer.learning_rate": 0.5})
    dvc_repro()
    assert runs() == sorted(TRAINING)
    assert CHECKPOINT.read_text().split() == ["an", "epoch"] * 2, "DVC keeps what a killed training can continue from"


def test_snakemake_takes_over_from_dvc():
    dvc_repro()
    assert runs() == sorted(ALL)

    assert "Nothing to be done" in snakemake()
    snakemake("--touch", "--forceall")
    assert "Nothing to be done" in snakemake()
    assert not dvc_status()
    assert not runs()

    edit({"trainer.learning_rate": 0.5})
    snakemake()
    assert runs() == sorted(TRAINING)
    assert CHECKPOINT.read_text().split() == ["an", "epoch"] * 2, "and so does Snakemake"


@pytest.mark.parametrize("body", ["a,c", "a,b,1"], ids=["same size", "longer"])
def test_a_raw_file_that_an_older_one_replaces_is_read_again(body):
    raw = Path("data/raw/own/sales.csv")
    raw.write_text("a,b")
    snakemake()
    with Repo() as repo:
        repo.commit(TARGET, with_deps=True, force=True)
    assert "Nothing to be done" in snakemake()
    assert runs() == sorted(ALL)

    other = Path("other.csv")
    other.write_text(body)
    os.utime(other, (1_000_000, 1_000_000))
    other.replace(raw)
    assert list(dvc_status()) == ["ingest@own"]
    snakemake()
    assert runs() == sorted(ALL)
    assert "Nothing to be done" in snakemake()
    assert raw.stat().st_mtime == 1_000_000, "the user's own file stays as it is"


def test_the_report_zip_has_each_exhibit_with_its_caption_and_the_costs(monkeypatch):
    snakemake()
    snakemake("costs")
    assert "| train " in Path("results/costs/costs.md").read_text()
    assert "Nothing to be done" in snakemake("costs"), "the same measurements are not summed up again"
    folder = Path("results/reports/small")
    (folder / "statistics.csv").touch()
    index = "statistics\tData sets\tRecall@10 of *all* k_cores_.\nreport\tAll exhibits\tOne page.\n"
    (folder / "exhibits.tsv").write_text(index)

    def refuse(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    snakemake("--report", "report.zip", "costs")

    with ZipFile("report.zip") as made:
        names = sorted(Path(name).name for name in made.namelist())
        page = made.read("report/report.html").decode()
    assert names == ["costs.csv", "costs.html", "costs.md", "costs.tex", "report.html", "report.html", "statistics.csv"]
    for text in (
        "<p>Recall&#64;10 of *all* k_cores_.</p>",
        "<p>One page.</p>",
        "Jobs, time, memory and downloads of each stage",
    ):
        assert text in page
    for title in ("Small (small)", "Data sets", "Costs", "Cost of the run"):
        assert f'"{title}": ' in page
