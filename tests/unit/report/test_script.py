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


def test_a_partial_report_reads_the_finished_results_where_they_are(command, tmp_path):
    folder = tmp_path / "collected"
    (folder / "results/own/k5/source/pop/seed2/metrics.json").unlink()
    command = [part for part in command if not part.startswith(("--collected", "--output"))]

    made = run([*command, "--partial"], folder)

    assert (made.returncode, made.stderr) == (0, "")
    page = folder / made.stdout.strip()
    assert page == folder / "results/partial/planted/report.html"
    assert "11 of 12 experiments" in page.read_text(encoding="utf-8")

    export = [command[0], command[1].replace("report.py", "export_runs.py"), *command[2:], "--output=runs.csv"]
    written = run(export, folder)

    assert written.stdout.strip() == "runs.csv: 22 rows"
    header, *rows = (folder / "runs.csv").read_text().splitlines()
    assert header.startswith("domain,k_core,split,variant,seed,candidates,recall@10,")
    assert header.endswith("mrr,epochs,best_epoch,validation_recall@10,training_seconds,settings")
    numbers = [row.rpartition(",")[0] for row in rows]
    assert "sports,5,source,mmsrec-text,2,unseen,0.1,0.2,0.2,0.2,0.2,3,2,0.05,4.5" in numbers
    assert "sports,5,source,pop,0,all,0.01,0.2,0.2,0.2,0.2,,,," in numbers


def test_a_report_continues_on_another_machine_from_the_numbers_of_the_first(command, tmp_path):
    folder = tmp_path / "collected"
    command = [part for part in command if not part.startswith(("--collected", "--output"))]
    export = [command[0], command[1].replace("report.py", "export_runs.py"), *command[2:]]
    run([*export, "--output=first.csv"], folder)
    for result in folder.glob("results/sports/k5/source/mmsrec-text/seed*"):
        shutil.rmtree(result)

    made = run([*command, "--partial", "--runs=first.csv"], folder)
    again = run([*export, "--output=second.csv", "--runs=first.csv"], folder)

    assert (made.returncode, made.stderr, again.returncode) == (0, "", 0)
    page = (folder / made.stdout.strip()).read_text(encoding="utf-8")
    assert "9 of 12 experiments, and 3 on another machine" in page
    first, second = ((folder / name).read_text().splitlines() for name in ("first.csv", "second.csv"))
    assert sorted(first) == sorted(second)

    (folder / "results/own/k5/source/pop/seed2/metrics.json").unlink()
    (folder / "first.csv").write_text("\n".join(line for line in first if not line.startswith("own,5,source,pop,2")))
    missing = [command[0], command[1].replace("report.py", "missing_runs.py"), *command[2:], "--runs=first.csv"]
    assert run(missing, folder).stdout == "results/own/k5/source/pop/seed2/metrics.json\n"


def test_numbers_that_other_settings_made_are_left_out(command, tmp_path):
    folder = tmp_path / "collected"
    command = [part for part in command if not part.startswith(("--collected", "--output"))]
    export = [command[0], command[1].replace("report.py", "export_runs.py"), *command[2:]]
    run([*export, "--output=first.csv"], folder)
    header, *rows = (folder / "first.csv").read_text().splitlines()
    changed = [row[:-1] + ("0" if row[-1] != "0" else "1") if ",pop,2," in row else row for row in rows]
    (folder / "changed.csv").write_text("\n".join([header, *changed]))

    made = run([*command, "--partial", "--runs=changed.csv"], folder)
    (folder / "cut.csv").write_text(header.replace(",settings", ""))
    refused = run([*command, "--partial", "--runs=cut.csv"], folder)

    assert "changed.csv: 4 rows were made with other settings, and are left out" in made.stderr
    assert refused.returncode == 1
    assert "A table of runs has other columns." in refused.stderr
