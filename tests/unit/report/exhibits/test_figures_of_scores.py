"""Figures of scores: lines by k, and bars of ablations."""

import pytest

from mmsrec.report.exhibits import ablation_bars, core_lines
from mmsrec.report.rendering import figure_files, figure_html
from tests.unit.report.exhibits.test_scores import layout_of


def test_lines_join_the_cores_of_a_model_and_the_paper_has_lines_of_its_own(laid_out):
    figure = core_lines.exhibit(laid_out, layout_of(laid_out, "figure-2"))
    assert [chart.title for chart in figure.charts] == [
        "Recall@10 on sports",
        "NDCG@10 on sports",
        "Recall@10 on own",
        "NDCG@10 on own",
    ]
    lines = {line.label: (line.x, line.y) for line in figure.charts[0].series}
    assert lines["Ours"] == ([5], [pytest.approx(0.07)])
    assert lines["SASRec, the paper"] == ([5], [0.0477])
    assert "SASRec" not in lines, "it was not run"
    assert "Ours 0.0700 at k 5" in figure.charts[0].alternative


def test_bars_show_measured_and_reported(laid_out):
    figure = ablation_bars.exhibit(laid_out, layout_of(laid_out, "figure-3"))
    sports, *_, own = figure.charts
    assert sports.categories == ["Pop", "SASRec", "Ours"]
    assert {bars.label: bars.values for bars in sports.series} == {
        "measured": [pytest.approx(0.01), None, pytest.approx(0.07)],
        "the paper": [0.0177, 0.0477, 0.0635],
    }
    assert [bars.label for bars in own.series] == ["measured"]
    assert sports.alternative == "Recall@10 on sports: Pop 0.0100, Ours 0.0700."


@pytest.mark.parametrize(("module", "name"), [(core_lines, "figure-2"), (ablation_bars, "figure-3")])
def test_a_figure_has_files_of_all_kinds_and_its_numbers_on_the_page(laid_out, module, name):
    figure = module.exhibit(laid_out, layout_of(laid_out, name))
    assert set(figure_files(figure, name)) == {f"{name}.{kind}" for kind in ("csv", "md", "tex", "svg", "png")}
    assert "<td" in figure_html(figure, name)
    assert figure.frame.height == 24


def test_without_results_there_is_a_table_and_no_chart(laid_out, tmp_path):
    for experiment in laid_out.experiments:
        laid_out.metrics_path(experiment).unlink(missing_ok=True)
    figure = core_lines.exhibit(laid_out, layout_of(laid_out, "figure-2"))
    assert figure.charts == []
    assert figure.table.body[0].rows[0][2].text == "not run"
