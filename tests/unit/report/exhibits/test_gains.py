"""The gain over the best other model, and its paired test."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from mmsrec.errors import ArtifactError
from mmsrec.report.exhibits.gains import exhibit, gains_frame
from mmsrec.report.exhibits.scores import ROW
from mmsrec.report.paired import holm
from mmsrec.settings.layouts import ScoreLayout
from mmsrec.settings.params import read_params
from tests.unit.report.conftest import ROOT, inputs_at, plant_ranks
from tests.unit.report.exhibits.test_scores import films, layout_experiment, layout_of


@pytest.fixture
def layout(laid_out):
    return layout_of(laid_out, "table-3-gains")


@pytest.fixture
def frame(laid_out, layout):
    return gains_frame(laid_out, layout)


def row_of(frame, domain, metric="ndcg@10", candidates="all"):
    (row,) = frame.filter(domain=domain, metric=metric, candidates=candidates).to_dicts()
    return row


def slow_gain(rank, metric):
    return float(rank <= 10) / (np.log2(rank + 1) if metric == "ndcg@10" else 1)


def test_the_reported_gain_is_over_the_paper_s_best_other_model(frame):
    row = row_of(frame, "sports", "recall@10")
    assert (row["reported_best"], row["reported_gain"]) == ("SASRec", pytest.approx(100 * (0.0635 / 0.0477 - 1)))
    assert row_of(frame, "sports", "recall@10", "unseen")["reported_gain"] is None


def test_the_measured_gain_is_over_the_best_finished_other_model(frame):
    row = row_of(frame, "sports", "recall@10")
    assert (row["best"], row["best_measured"], row["ours_measured"]) == ("Pop", 0.01, pytest.approx(0.07))
    assert row["gain"] == pytest.approx(600)


@pytest.mark.parametrize("metric", ["recall@10", "ndcg@10"])
@pytest.mark.parametrize("candidates", ["all", "unseen"])
def test_the_test_compares_the_users_means_over_seeds(frame, metric, candidates):
    numbers = range(1, 31)
    pop = [slow_gain(number, metric) for number in numbers]
    ours = [np.mean([slow_gain(max(1, number - shift), metric) for shift in (1, 2, 3)]) for number in numbers]
    row = row_of(frame, "own", metric, candidates)
    assert row["users"] == 30
    assert row["user_difference"] == pytest.approx(np.mean(ours) - np.mean(pop))
    assert row["p"] == pytest.approx(stats.ttest_rel(ours, pop).pvalue)


def test_the_correction_is_for_all_tests_of_the_table(laid_out, layout, frame):
    assert frame["p"].null_count() == 0
    assert frame["p_holm"].to_list() == pytest.approx(holm(frame["p"].to_list()))
    assert "p (Holm) is corrected for the 8 tests of this table." in exhibit(laid_out, layout).notes


def test_users_that_come_in_another_order_are_the_same_users(laid_out, layout, frame):
    path = laid_out.ranks_path(layout_experiment(layout, "own", "Ours", 1))
    ranks = {f"user{number:02d}": float(max(1, number - 2)) for number in reversed(range(1, 31))}
    plant_ranks(path, ranks)
    assert gains_frame(laid_out, layout)["p"].to_list() == pytest.approx(frame["p"].to_list())


def test_other_users_are_refused(laid_out, layout):
    plant_ranks(laid_out.ranks_path(layout_experiment(layout, "own", "Ours", 1)), {"ann": 1.0, "bob": 2.0})
    with pytest.raises(ArtifactError, match="rank other users"):
        gains_frame(laid_out, layout)


def test_without_our_model_there_is_no_gain_and_no_test(laid_out, layout):
    for seed in range(3):
        laid_out.metrics_path(layout_experiment(layout, "own", "Ours", seed)).unlink()
    frame = gains_frame(laid_out, layout)
    rows = frame.filter(domain="own")
    assert rows["missing"].to_list() == ["not run"] * 4
    assert rows["p"].null_count() == 4
    assert frame.filter(pl.col("p").is_not_null()).height == 4
    assert "not run" in {part.text for group in exhibit(laid_out, layout).body for row in group.rows for part in row}


def test_a_number_that_no_ranking_can_have_is_no_best(laid_out, layout):
    row = row_of(gains_frame(films(laid_out), layout), "own", "recall@10")
    assert row["reported_best"] == "SASRec"
    assert "incomparable" not in ROW


# The column Improv. of Table 3, in per cent.
IMPROVEMENTS = {
    "beauty": [8.58, 22.12, 3.03, 10.88],
    "sports": [21.41, 22.30, 17.03, 25.65],
    "clothing": [18.32, 24.29, 14.14, 20.43],
    "home": [17.93, 33.66, 19.63, 32.64],
    "ml-1m": [3.17, 2.30, 5.22, 4.18],
}


def test_the_reported_gains_are_the_paper_s_improvements(tmp_path):
    inputs = replace(inputs_at(tmp_path, read_params(ROOT / "params.yaml"), "paper"), partial=True)
    layouts = inputs.params.reports["paper"].layouts(ScoreLayout)
    (layout,) = (layout for layout in layouts if layout.name == "table-3-gains")
    frame = gains_frame(inputs, layout).filter(candidates="all")
    for domain, improvements in IMPROVEMENTS.items():
        assert frame.filter(domain=domain)["reported_gain"].to_list() == pytest.approx(improvements, abs=0.006)
