"""Learning curves from planted histories."""

import polars as pl

from mmsrec.report.exhibits.learning import exhibit
from mmsrec.settings.plan import Experiment
from tests.unit.report.conftest import plant_history


def test_a_chart_a_core_and_a_line_a_seed(inputs):
    charts = exhibit(inputs).charts
    assert [chart.title for chart in charts] == ["sports, 5-core, source", "own, 5-core, source"]
    assert [(line.label, line.y, line.marked) for line in charts[0].series] == [
        ("mmsrec-text", [0.02, 0.05, 0.04], 1)
    ] * 3


def test_the_text_alternative_has_the_mean_over_seeds(inputs):
    plant_history(inputs.history_path(Experiment("sports", 5, "source", "mmsrec-text", 2)), [0.02, 0.08])
    alternative = exhibit(inputs).charts[0].alternative
    assert alternative.endswith("in sports, 5-core, source. Best epochs: mmsrec-text 0.0600, the mean of 3 seeds.")


def test_the_csv_has_every_epoch(inputs):
    frame = exhibit(inputs).frame
    rows = frame.filter((pl.col("domain") == "own") & (pl.col("seed") == 2))
    assert rows.select("variant", "epoch", "recall@10").rows() == [
        ("mmsrec-text", 1, 0.02),
        ("mmsrec-text", 2, 0.05),
        ("mmsrec-text", 3, 0.04),
    ]


def test_a_model_without_epochs_is_named_in_the_notes(inputs):
    assert "Without epochs or validation, and so without a line: pop." in exhibit(inputs).notes


def test_a_training_without_validation_has_its_epochs_in_the_csv_and_no_line(inputs):
    for seed in range(3):
        plant_history(inputs.history_path(Experiment("own", 5, "source", "mmsrec-text", seed)), [None, None])
    figure = exhibit(inputs)
    assert [chart.title for chart in figure.charts] == ["sports, 5-core, source"]
    assert figure.frame.filter(pl.col("domain") == "own")["recall@10"].to_list() == [None] * 6


def test_one_seed_with_one_epoch_is_enough(inputs):
    plant_history(inputs.history_path(Experiment("own", 5, "source", "mmsrec-text", 0)), [0.0])
    for seed in (1, 2):
        plant_history(inputs.history_path(Experiment("own", 5, "source", "mmsrec-text", seed)), [])
    assert exhibit(inputs).charts[1].alternative.endswith("mmsrec-text 0.0000 in epoch 1.")
