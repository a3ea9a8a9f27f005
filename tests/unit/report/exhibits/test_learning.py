"""Learning curves from planted histories."""

import polars as pl

from mmsrec.report.exhibits.learning import learning_figure
from mmsrec.settings.plan import Experiment
from tests.unit.report.conftest import plant_history


def test_a_chart_a_core_and_a_line_a_seed(inputs):
    figure = learning_figure(inputs)
    assert [panel.caption for panel in figure.panels] == ["sports, 5-core", "own, 5-core"]
    # Three lines and one sample in the legend.
    assert figure.panels[0].chart.count('class="line"') == 4
    assert "Best: mmsrec-text 0.0500 in epoch 2" in figure.panels[0].chart


def test_the_csv_has_every_epoch(inputs):
    frame = learning_figure(inputs).frame
    rows = frame.filter((pl.col("domain") == "own") & (pl.col("seed") == 2))
    assert rows.select("variant", "epoch", "recall@10").rows() == [
        ("mmsrec-text", 1, 0.02),
        ("mmsrec-text", 2, 0.05),
        ("mmsrec-text", 3, 0.04),
    ]


def test_a_model_without_epochs_is_named_in_the_notes(inputs):
    assert "Without epochs, and so without a line: pop." in learning_figure(inputs).notes


def test_one_epoch_is_enough(inputs):
    for seed in range(3):
        plant_history(inputs.history_path(Experiment("own", 5, "mmsrec-text", seed)), [0.0])
    assert "in epoch 1" in learning_figure(inputs).panels[1].chart
