"""The stage's command line: where it looks for its inputs, and how it ends without them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmsrec.settings.plan import cores_of, experiments_of, retrievals_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def command(inputs, tmp_path) -> list[str]:
    """The inputs laid out as the stages before leave them, and the command that reads them."""
    params, collected = inputs.params, tmp_path / "collected"
    for core in cores_of(params, "planted"):
        place(inputs.statistics_path(core), collected / f"data/processed/{core.domain}/k{core.k_core}/statistics.json")
    for row in experiments_of(params, "planted"):
        folder = f"{row.domain}/k{row.k_core}/{row.split}/{row.variant}/seed{row.seed}"
        place(inputs.metrics_path(row), collected / "results" / folder / "metrics.json")
        place(inputs.history_path(row), collected / "models" / folder / "history.parquet")
    for row in retrievals_of(params, "planted"):
        place(inputs.retrieval_path(row), collected / f"results/retrieval/{row.pretraining}/{row.corpus}/metrics.json")
    (tmp_path / "params.yaml").write_text(json.dumps(params.model_dump(mode="json", exclude_none=True)))
    folders = [f"--{name}={tmp_path / name}" for name in ("collected", "output")]
    script = ROOT / "workflow" / "scripts" / "report.py"
    return [sys.executable, str(script), f"--params={tmp_path / 'params.yaml'}", "--report=planted", *folders]


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    shutil.move(source, target)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)


def test_a_report_is_made_and_then_refused_without_an_input(command, tmp_path):
    made = run(command, ROOT)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.strip() == str(tmp_path / "output" / "report.html")
    assert (tmp_path / "output" / "comparison.csv").is_file()

    (tmp_path / "collected/results/own/k5/source/pop/seed2/metrics.json").unlink()
    refused = run(command, ROOT)
    assert refused.returncode == 1
    assert "Run the stage evaluate for own-k5-source-pop-seed2." in refused.stderr
    assert "Traceback" not in refused.stderr
