"""A missing, damaged or stale result is an error that names its row and its stage."""

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS
from mmsrec.errors import ArtifactError
from mmsrec.files import read_json, write_json
from mmsrec.report.inputs import KEYS, metric_names
from mmsrec.settings.plan import Core, Experiment
from tests.unit.report.conftest import inputs_at, plant_history, plant_ranks

EXPERIMENT = Experiment("sports", 5, "source", "mmsrec-text", 1)


def change(path, **values):
    write_json(path, read_json(path) | values)


def test_metrics_hold_a_row_an_experiment_in_the_order_of_the_report(inputs):
    frame = inputs.metrics()
    assert frame.select("domain", "variant", "seed", "candidates").rows()[:4] == [
        ("sports", "pop", 0, "all"),
        ("sports", "pop", 0, "unseen"),
        ("sports", "pop", 1, "all"),
        ("sports", "pop", 1, "unseen"),
    ]
    assert frame.height == 2 * 12
    assert frame["recall@10"][10] == 0.10
    assert frame["mrr_chance"].to_list() == [0.0008, 0.001] * 12


def test_the_parameters_decide_the_metrics(params):
    assert metric_names(params) == ["recall@10", "recall@50", "ndcg@10", "ndcg@50", "mrr"]


def test_a_model_without_epochs_has_no_rows_in_the_histories(inputs):
    frame = inputs.histories()
    assert set(frame["variant"]) == {"mmsrec-text"}
    assert frame.height == 2 * 3 * 3


@pytest.mark.parametrize(
    ("path_of", "row", "read", "stage"),
    [
        ("statistics_path", Core("sports", 7), "statistics", "prepare"),
        ("metrics_path", EXPERIMENT, "metrics", "evaluate"),
        ("history_path", EXPERIMENT, "histories", "train"),
    ],
)
def test_a_missing_file_names_its_row_and_the_stage_to_run(inputs, path_of, row, read, stage):
    path = getattr(inputs, path_of)(row)
    path.unlink()
    with pytest.raises(ArtifactError) as caught:
        getattr(inputs, read)()
    assert caught.value.details["fix"] == f"Run the stage {stage} for {row.name}."
    assert str(path) in str(caught.value)


def test_every_missing_file_is_named_at_once(params, tmp_path):
    with pytest.raises(ArtifactError, match="needs 12 files of the stage evaluate; 12 are missing") as caught:
        inputs_at(tmp_path, params).metrics()
    assert "sports-k5-source-pop-seed0, sports-k5-source-pop-seed1" in caught.value.details["fix"]


@pytest.mark.parametrize(
    "values",
    [
        {"ties": "item"},
        {"candidates": ["unseen"]},
        {"seed": 2},
        {"metrics": {"all": {"recall@5": 0.1}, "unseen": {}}},
        {"chance": {}},
    ],
)
def test_metrics_of_other_parameters_are_refused(inputs, values):
    change(inputs.metrics_path(EXPERIMENT), **values)
    with pytest.raises(ArtifactError, match="with other parameters") as caught:
        inputs.metrics()
    assert set(caught.value.details["found"]) == set(values)
    assert caught.value.details["fix"] == "Run the stage evaluate for sports-k5-source-mmsrec-text-seed1 again."


def test_statistics_of_another_core_are_refused(inputs):
    change(inputs.statistics_path(Core("own", 5)), k_core=6)
    with pytest.raises(ArtifactError, match="with other parameters"):
        inputs.statistics()


def test_ranks_hold_a_row_a_user_of_each_experiment(inputs):
    for experiment in inputs.experiments:
        plant_ranks(inputs.ranks_path(experiment), {"ann": experiment.seed + 1.0, "bob": 7.5})
    ranks = inputs.ranks()
    assert isinstance(ranks, pl.LazyFrame)
    frame = ranks.collect()
    assert frame.columns == [*KEYS, *SCHEMAS["ranks"].names]
    assert frame.height == 2 * 12
    third = frame.filter(domain="own", variant="mmsrec-text", seed=2)
    assert third.select("user", "target", "rank", "ties").rows() == [("ann", "item", 3.0, 1), ("bob", "item", 7.5, 1)]
    assert third["top"].to_list() == [[4, 0]] * 2


def test_a_damaged_or_missing_ranks_file_is_refused_before_any_is_read(inputs):
    *others, last = inputs.experiments
    for experiment in others:
        plant_ranks(inputs.ranks_path(experiment), {"ann": 1.0})
    with pytest.raises(ArtifactError, match="needs 12 files of the stage evaluate; 1 are missing"):
        inputs.ranks()
    inputs.ranks_path(last).write_bytes(inputs.ranks_path(others[0]).read_bytes()[:-9])
    with pytest.raises(ArtifactError, match="not a readable Parquet file"):
        inputs.ranks()
    plant_history(inputs.ranks_path(last), [0.1])
    with pytest.raises(ArtifactError, match="does not follow its schema"):
        inputs.ranks()


def test_a_report_without_experiments_has_no_ranks(params, tmp_path):
    assert inputs_at(tmp_path, params, "empty").ranks().collect().columns == [*KEYS, *SCHEMAS["ranks"].names]


@pytest.mark.parametrize(
    "values",
    [
        {"metrics": {"all": {"recall@10": 1.5}}},
        {"metrics": "high"},
        {"seed": "1"},
    ],
)
def test_values_of_a_wrong_type_or_range_are_refused(inputs, values):
    change(inputs.metrics_path(EXPERIMENT), **values)
    with pytest.raises(ArtifactError, match="keys and values of its artifact") as caught:
        inputs.metrics()
    assert next(iter(values)) in caught.value.details["found"]


def test_a_truncated_file_is_refused(inputs):
    inputs.metrics_path(EXPERIMENT).write_text('{"domain": ')
    with pytest.raises(ArtifactError, match="not JSON"):
        inputs.metrics()
    inputs.history_path(EXPERIMENT).write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match="not a readable Parquet file"):
        inputs.histories()
