"""docs/results.md shows what docs/results/*.csv hold, and means follow from the runs."""

import csv
from collections import defaultdict
from statistics import mean

import pytest
from scipy.stats import t

from tests.house.prose import ROOT
from tests.house.result_tables import rendered, rewritten, tables

RESULTS = ROOT / "docs" / "results"
TABLES = tables(ROOT / "docs" / "results.md")
METRICS = ("recall@10", "recall@50", "ndcg@10", "ndcg@50")


@pytest.mark.parametrize(("path", "text"), TABLES, ids=[path.name for path, _ in TABLES])
def test_a_table_shows_its_file(path, text):
    assert text == rendered(path)


RUN = ["domain", "k_core", "split", "variant", "seed"]


def test_every_file_is_shown_or_holds_runs():
    shown = {path for path, _ in TABLES}
    for path in set(RESULTS.glob("*.csv")) - shown:
        with path.open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file))[: len(RUN)] == RUN, f"{path.name} is in no table of docs/results.md"


def test_a_changed_number_is_found(tmp_path):
    (tmp_path / "a.csv").write_text("data,recall,recall ±,commit\ntoys,.10,.02,abc\nml-1m,.20,,abc\n")
    document = tmp_path / "page.md"
    document.write_text(
        "<!-- table a.csv -->\n| data | recall |\n| --- | ---: |\n| toys | .10 ± .02 |\n| ml-1m | .21 |\n"
    )

    [(path, text)] = tables(document)

    assert text != rendered(path)
    assert rewritten(document) == document.read_text().replace(".21", ".20")


@pytest.mark.parametrize(
    ("runs", "table"),
    [
        ("real-text.csv", "text-128.csv"),
        ("wide-text.csv", "text-512.csv"),
        ("paper-small.csv", "paper-small-table.csv"),
    ],
)
def test_means_and_intervals_follow_from_the_runs(runs, table):
    shown = {(row["data"], row["ties"], row["variant"]): row for row in _rows(table)}
    groups = defaultdict(list)
    for run in _rows(runs):
        if run.get("candidates", "all") == "all" and run["k_core"] == "5":
            groups[run["domain"], run["split"], run["variant"]].append(run)

    assert groups
    for key, group in groups.items():
        for metric in METRICS:
            name = metric.replace("recall", "Recall").replace("ndcg", "NDCG")
            values = [float(run[metric]) for run in group]
            # Runs are stored with four digits, the table was made from all digits.
            assert float(shown[key][name]) == pytest.approx(mean(values), abs=1.01e-4), (key, metric)
            if len(values) == 1:
                assert not shown[key][f"{name} ±"]
                continue
            spread = (sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1)) ** 0.5
            interval = t.ppf(0.975, len(values) - 1) * spread / len(values) ** 0.5
            assert float(shown[key][f"{name} ±"]) == pytest.approx(interval, abs=3e-4), (key, metric)


def _rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
