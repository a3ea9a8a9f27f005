"""The table of what a run cost, from files as Snakemake and the stages' server write them."""

from pathlib import Path

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS
from mmsrec.costs.measured import costs_frame, costs_table, ledger_bytes, recorded_bytes
from mmsrec.files import write_json
from mmsrec.report.rendering import table_markdown

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
STAGES = ["download", "crawl_images", "train", "collect", "report"]


def measure(logs: Path, name: str, seconds: float, peak: object, processor: object, log: str = "") -> None:
    path = logs / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEADER}{seconds}\t0:00:01\t{peak}\t1\t1\t1\t0\t0\t0\t{processor}\n")
    path.with_suffix(".log").write_text(log)


@pytest.fixture
def frame(tmp_path) -> pl.DataFrame:
    measure(tmp_path, "train/shop/k5/seed0", 10, 300.5, 18)
    # Snakemake saw the waiting process alone.
    measure(tmp_path, "train/shop/k5/seed1", 12, 17, 0.02, "epoch 1\nused 20.50 s of processors, 812 MiB\n")
    measure(tmp_path, "report/shop", 0.1, "NA", "NA")
    (tmp_path / "collect").mkdir()
    (tmp_path / "collect" / "shop.log").touch()
    return costs_frame(STAGES, tmp_path, {"download": 2_000, "crawl_images": 0})


def test_each_stage_has_its_sums(frame):
    rows = {row["stage"]: row for row in frame.to_dicts()}
    assert list(rows) == ["download", "train", "collect", "report"]
    train = rows["train"]
    assert (train["jobs"], train["seconds"], train["processor_seconds"], train["peak_mib"]) == (2, 22, 38.5, 812)
    assert (train["longest_seconds"], train["longest_job"]) == (12, "shop/k5/seed1")
    assert rows["download"]["downloaded_bytes"] == 2_000
    assert rows["report"]["processor_seconds"] is None


def test_the_table_says_what_was_not_measured(frame):
    text = table_markdown(costs_table(frame))
    [collect] = [line for line in text.splitlines() if line.startswith("| collect ")]
    assert collect.count("not measured") == 4
    assert "Stages with unmeasured jobs (measured of all): download (0 of 0), collect (0 of 1)." in text
    assert "| all " in text


def test_a_folder_without_a_run_has_an_empty_table(tmp_path):
    assert "Stages with unmeasured jobs (measured of all): none" in table_markdown(
        costs_table(costs_frame(STAGES, tmp_path, {}))
    )


def test_downloads_are_summed(tmp_path):
    for name in ("a", "b"):
        write_json(tmp_path / f"{name}.json", {"bytes": 5})
    assert recorded_bytes(tmp_path.glob("*.json")) == 10
    empty = {field.name: [None] for field in SCHEMAS["ledger"]}
    for name, sizes in (("full", [7, None, 8]), ("empty", [None])):
        pl.DataFrame(
            {**{key: value * len(sizes) for key, value in empty.items()}, "bytes": pl.Series(sizes, dtype=pl.UInt64)}
        ).write_parquet(tmp_path / f"{name}.parquet")
    assert ledger_bytes(tmp_path.glob("*.parquet")) == 15
