"""A split with cold items in a report: its protocol, its ranks, and a random ranking beside them."""

from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError
from mmsrec.files import read_json, write_json
from mmsrec.report.cells import cells
from mmsrec.report.exhibits import gains, scores
from mmsrec.report.inputs import Inputs, metric_names
from mmsrec.report.page import facts
from mmsrec.settings.layouts import ScoreLayout
from mmsrec.settings.params import parse_params
from mmsrec.settings.plan import experiments_of
from tests.unit.report.conftest import SCORES, inputs_at

CUTS = [{"domains": ["sports"], "k_cores": [5], "splits": ["source", "cold"], "seeds": [0, 1]}]
MODELS = [{"label": "Pop", "variant": "pop"}, {"label": "Ours", "variant": "mmsrec-text"}]
LAYOUT = SCORES | {"name": "cold", "cuts": CUTS, "models": MODELS, "chance": True}
USERS = 12


def plant(planted: Inputs) -> None:
    """Recall of Ours is .5 under `cold` and .1 otherwise, of Pop a tenth of it. Our ranks are better by one."""
    names = metric_names(planted.params)
    for experiment in planted.experiments:
        protocols = planted.params.protocols_of(experiment.split)
        scale = 1.0 if experiment.variant == "mmsrec-text" else 0.1
        metrics = {name: dict.fromkeys(names, scale * (0.5 if name == "cold" else 0.1)) for name in protocols}
        chance = {name: dict.fromkeys(names, 0.02 if name == "cold" else 0.001) for name in protocols}
        facts_of = {"users": USERS, "candidates": protocols, "ties": "source", "metrics": metrics, "chance": chance}
        write_json(planted.metrics_path(experiment), asdict(experiment) | facts_of)
        rank = np.arange(2.0, USERS + 2) - (experiment.variant == "mmsrec-text")
        schema = planted.ranks_schema(experiment.split)
        columns = {name: rank for name in schema.names if name.endswith("rank")}
        columns |= {name: np.ones(USERS) for name in schema.names if name.endswith("ties")}
        columns |= {"user": [f"u{user:02d}" for user in range(USERS)], "target": ["i"] * USERS, "top": [[0]] * USERS}
        write_table(planted.ranks_path(experiment), pl.DataFrame(columns).select(schema.names).to_arrow(), schema)


@pytest.fixture
def cold(params, tmp_path):
    raw = params.model_dump(mode="json", exclude_none=True)
    raw["splits"]["cold"] = {"ties": "source", "cold_items": 0.25}
    raw["reports"] = {"cold": {"title": "Cold", "exhibits": [LAYOUT]}}
    planted = inputs_at(tmp_path, parse_params(raw), "cold")
    plant(planted)
    return planted


def layout_of(inputs, **changes):
    (layout,) = inputs.params.reports["cold"].layouts(ScoreLayout)
    return layout.model_copy(update=changes)


def test_the_split_alone_has_the_protocol(cold):
    found = cells(cold, layout_of(cold))
    protocols = found.group_by("split", maintain_order=True).agg(pl.col("candidates").unique(maintain_order=True))
    assert protocols.rows() == [("source", ["all", "unseen"]), ("cold", ["all", "unseen", "cold"])]
    (row,) = found.filter(split="cold", candidates="cold", label="Ours", metric="recall@10").to_dicts()
    assert (row["measured"], row["seeds"], row["reported"]) == (0.5, 2, None)


def test_a_layout_names_its_protocols(cold):
    cuts = [layout_of(cold).cuts[0].model_copy(update={"splits": ["cold"]})]
    layout = layout_of(cold, cuts=cuts, candidates=["cold", "unseen"])
    table = scores.exhibit(cold, layout)
    assert [group.names[3] for group in table.body] == ["cold items alone", "history removed"]


def test_chance_has_a_row_in_each_group(cold):
    table = scores.exhibit(cold, layout_of(cold))
    assert len(table.body) == 5
    for group in table.body:
        assert [row[0].text for row in group.rows] == ["Pop", "Ours", "chance"]
    last = table.body[-1]
    assert last.names[3] == "cold items alone"
    assert [row[1].text for row in last.rows] == ["0.0500 ± 0.0000", "0.5000 ± 0.0000", "0.0200"]
    assert "chance is the expected score of a random ranking." in table.notes
    assert "chance" not in scores.exhibit(cold, layout_of(cold, chance=False)).frame["label"]


def test_gains_are_tested_among_the_cold_items_too(cold):
    frame = gains.gains_frame(cold, layout_of(cold)).filter(split="cold", metric="recall@10")
    assert frame["candidates"].to_list() == ["all", "unseen", "cold"]
    assert frame["best"].to_list() == ["Pop"] * 3
    assert frame["users"].to_list() == [USERS] * 3
    assert frame["user_difference"].to_list() == pytest.approx([1 / USERS] * 3)


def test_ranks_of_both_splits_are_one_table(cold):
    frame = cold.ranks().collect()
    assert frame.height == 8 * USERS
    assert frame.filter(split="source")["cold_rank"].null_count() == 4 * USERS
    assert frame.filter(split="cold")["cold_rank"].null_count() == 0


def test_results_of_another_kind_of_split_are_refused(cold):
    experiment = next(row for row in experiments_of(cold.params, "cold") if row.split == "cold")
    usual = replace(experiment, split="source")
    cold.ranks_path(experiment).write_bytes(cold.ranks_path(usual).read_bytes())
    with pytest.raises(ArtifactError, match="does not follow its schema"):
        cold.ranks()
    path = cold.metrics_path(experiment)
    write_json(path, read_json(path) | {"candidates": ["all", "unseen"]})
    with pytest.raises(ArtifactError, match="with other parameters"):
        cold.metrics()


def test_the_page_says_what_items_are_ranked_against_and_which_are_unknown(cold):
    known = dict(facts(cold))
    assert known["Ranked against"].endswith("; the cold items alone")
    assert known["Items unknown to training"] == "cold: 25 %"
    assert SCHEMAS["cold_ranks"].names[:-2] == SCHEMAS["ranks"].names
