"""The plan of a report: its jobs, its rates and its sums."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmsrec.costs.estimate import Cost, Plan, duration, make_plan, size_of, text_of
from mmsrec.costs.jobs import Job, jobs_of
from mmsrec.costs.rates import Rate, rate_of, read_rates
from mmsrec.costs.sizes import Sizes
from mmsrec.errors import DataError
from mmsrec.files import write_json
from mmsrec.settings.params import read_params
from mmsrec.settings.plan import Core

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "workflow"))

layout = import_module("layout")

RATES = read_rates(layout.RATES)
PARAMS = read_params(ROOT / "params.yaml")
HEADER = "name,k_core,users,items,actions,megabytes,source\n"


def sizes_at(folder: Path, table: Path = layout.SIZES) -> Sizes:
    return Sizes(table, PARAMS, lambda core: folder / f"{core.name}.json", lambda file: folder / "raw" / file)


def rate(kind: str = "", width: int = 0, core: float = 1) -> Rate:
    return Rate(("train",), kind, width, "place", core, None, 0, 0, 0, True, "")


@pytest.mark.parametrize("report", PARAMS.reports)
def test_each_report_has_a_plan(report, tmp_path):
    plan = make_plan(report, jobs_of(PARAMS, report, sizes_at(tmp_path)), RATES, list(layout.MADE), warm=False)
    assert sum(cost.jobs for cost in plan.by_stage().values()) == len(plan.jobs), "each stage has its place"
    assert all((job.stage, job.name) != other for job in plan.jobs for other in job.after)
    for cores, gpus in ((1, 0), (4, 1), (4, 8)):
        assert plan.seconds(cores, gpus) > 0
    assert plan.seconds(4, 8) <= plan.seconds(4, 1)
    assert "| all | " in text_of(plan, 4, 8)


def test_every_rate_has_a_source_and_names_stages():
    assert {stage for rate in RATES for stage in rate.stages} <= set(layout.MADE)
    assert all(rate.source for rate in RATES)
    headings = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    named = {
        rate.source.split(", ", 1)[1].split(":")[0].split(";")[0].split(",")[0]
        for rate in RATES
        if rate.source.startswith("benchmarks.md, ")
    }
    assert {name for name in named if name not in headings} == set()


def test_measured_sizes_come_before_the_table(tmp_path):
    core = Core("demo-shop", 5)
    assert sizes_at(tmp_path).of_core(core).users == 1425
    write_json(tmp_path / f"{core.name}.json", {"users": 7, "items": 8, "actions": 9})
    assert sizes_at(tmp_path).of_core(core).users == 7
    (tmp_path / "raw" / "demo").mkdir(parents=True)
    (tmp_path / "raw" / "demo" / "films.zip").write_bytes(b"x" * 1000)
    assert sizes_at(tmp_path).megabytes("demo/films.zip") == 0.001


def test_a_union_is_as_large_as_its_members(tmp_path):
    members = [sizes_at(tmp_path).of_core(Core(name, 5)) for name in PARAMS.domains["fhckm"].of]
    assert sizes_at(tmp_path).of_core(Core("fhckm", 5)).actions == sum(member.actions for member in members)


def test_an_unknown_size_is_named(tmp_path):
    table = tmp_path / "sizes.csv"
    table.write_text(HEADER)
    with pytest.raises(DataError, match="beauty and the k_core 5"):
        sizes_at(tmp_path, table).of_core(Core("beauty", 5))


def test_the_rate_of_the_own_kind_and_the_nearest_width_is_taken():
    rates = [rate(core=1), rate("mmsrec", core=2), rate("mmsrec/causal", 64, 3), rate("mmsrec/causal", 512, 4)]
    found = [
        rate_of(rates, Job("train", "", {}, kind, width), "place").core
        for kind, width in (("sasrec/next", 64), ("mmsrec/masked", 64), ("mmsrec/causal", 100), ("mmsrec/causal", 400))
    ]
    assert found == [1, 2, 3, 4]
    with pytest.raises(DataError, match="stage train with the unit step"):
        rate_of(rates, Job("train", "", {}, "sasrec/next", 64), "step")


def test_a_wrong_row_of_the_rates_is_named(tmp_path):
    lines = layout.RATES.read_text().splitlines()
    (tmp_path / "rates.csv").write_text("\n".join([lines[0], lines[1].replace(",measured,", ",guess,")]))
    with pytest.raises(DataError, match="guess"):
        read_rates(tmp_path / "rates.csv")


def test_more_gpus_help_up_to_the_longest_chain():
    chain = [Job("train", "a", {}), Job("train", "b", {}, after=(("train", "a"),)), Job("train", "c", {})]
    plan = Plan("own", chain, [Cost(jobs=1, core=100, gpu=10)] * 3, ["train"])
    assert [plan.seconds(2, gpus) for gpus in (0, 1, 2, 8)] == [150, 30, 20, 20]
    part = Plan("own", chain[1:2], [Cost(jobs=1, gpu=10)], ["train"])
    assert part.seconds(2, 1) == 10, "a job that is done takes no time"


def test_texts_have_units():
    assert [duration(seconds) for seconds in (0.1, 89, 91, 5400, 90_000)] == [
        "0.1 s",
        "89 s",
        "1.5 min",
        "1.5 h",
        "25 h",
    ]
    assert [size_of(count) for count in (2e6, 3.5e9, 2e11)] == ["2.0 MB", "3.5 GB", "200 GB"]
