"""Cells of layouts: reported and measured numbers, remarks, and reasons for missing numbers."""

from dataclasses import replace

import pytest

from mmsrec.errors import ArtifactError
from mmsrec.report.cells import CELL, cells
from mmsrec.report.exhibits.scores import exhibit
from mmsrec.settings.layouts import ScoreLayout


def layout_of(inputs, name="table-3"):
    return next(layout for layout in inputs.params.reports["laid-out"].layouts(ScoreLayout) if layout.name == name)


@pytest.fixture
def layout(laid_out):
    return layout_of(laid_out)


@pytest.fixture
def found(laid_out, layout):
    return cells(laid_out, layout)


def cell(found, domain, label, metric="recall@10", candidates="all"):
    (row,) = found.filter(domain=domain, label=label, metric=metric, candidates=candidates).to_dicts()
    return row


def films(inputs):
    """The inputs, with the domain `own` as the paper's ML-1M."""
    own = inputs.params.domains["own"].model_copy(update={"published": "ml-1m"})
    params = inputs.params.model_copy(update={"domains": inputs.params.domains | {"own": own}})
    return replace(inputs, params=params)


def test_there_is_a_cell_for_each_model_metric_data_set_and_protocol(found):
    assert found.columns == list(CELL)
    assert found.height == 3 * 2 * 2 * 2
    assert found["label"].unique(maintain_order=True).to_list() == ["Pop", "SASRec", "Ours"]


def test_a_cell_has_the_mean_over_seeds_and_the_difference_to_the_paper_in_per_cent(found):
    row = cell(found, "sports", "Ours")
    assert (row["variant"], row["seeds"], row["reported"], row["missing"]) == ("mmsrec-text", 3, 0.0635, None)
    assert row["measured"] == pytest.approx(0.07)
    assert row["interval"] == pytest.approx(0.0657, abs=5e-5)
    assert row["difference"] == pytest.approx(100 * (0.07 / 0.0635 - 1))


def test_the_paper_s_numbers_are_beside_its_own_protocol_and_core(laid_out, found):
    row = cell(found, "sports", "Ours", candidates="unseen")
    assert (row["reported"], row["difference"]) == (None, None)
    assert row["measured"] == pytest.approx(0.07)
    layout = layout_of(laid_out)
    sixth = layout.model_copy(update={"cuts": [layout.cuts[0].model_copy(update={"k_cores": [6]})]})
    assert cells(laid_out, sixth)["reported"].null_count() == 24


def test_a_missing_number_has_its_reason(found):
    assert cell(found, "sports", "SASRec")["missing"] == "not run"
    assert cell(found, "own", "SASRec")["missing"] == "no ids"
    assert cell(found, "sports", "SASRec")["reported"] == 0.0477


def test_a_missing_number_is_an_error_unless_the_report_is_partial(laid_out, layout):
    with pytest.raises(ArtifactError, match="3 are missing") as caught:
        cells(replace(laid_out, partial=False), layout)
    assert "own" not in caught.value.details["fix"], "what cannot be made is not asked for"


def test_a_part_of_the_seeds_is_counted(laid_out, layout):
    laid_out.metrics_path(layout_experiment(layout, "sports", "Ours", 2)).unlink()
    row = cell(cells(laid_out, layout), "sports", "Ours")
    assert (row["seeds"], row["measured"]) == (2, pytest.approx(0.055))


def layout_experiment(layout, domain, label, seed):
    return next(
        row
        for cut, model, rows in layout.cells()
        for row in rows
        if (cut.domain, model.label, row.seed) == (domain, label, seed)
    )


def test_seeds_of_other_exhibits_do_not_count(laid_out, layout):
    first = layout.model_copy(update={"cuts": [layout.cuts[0].model_copy(update={"seeds": [0]})]})
    row = cell(cells(laid_out, first), "sports", "Ours")
    assert (row["seeds"], row["measured"], row["interval"]) == (1, pytest.approx(0.05), None)


def test_a_number_that_no_ranking_can_have_is_marked_and_not_compared(laid_out, layout):
    found = cells(films(laid_out), layout)
    impossible = cell(found, "own", "Pop", "ndcg@10")
    assert (impossible["reported"], impossible["difference"]) == (0.1310, None)
    assert impossible["incomparable"] == "impossible"
    assert impossible["remark"].startswith("reports NDCG@10 above Recall@10")
    assert cell(found, "own", "Ours")["incomparable"] is None
    table = exhibit(films(laid_out), layout)
    assert "* Pop on own: the paper reports NDCG@10 above Recall@10" in "\n".join(table.notes)
    pop = table.body[2].rows[0]
    assert [part.text for part in pop[1:4]] == ["*0.0749", "0.0100 ± 0.0000", "impossible"]


def test_the_table_has_a_group_a_data_set_and_protocol_and_marks_the_best(laid_out, layout):
    table = exhibit(laid_out, layout)
    assert [group.names[0::3] for group in table.body] == [
        ("sports", "history among the candidates"),
        ("sports", "history removed"),
        ("own", "history among the candidates"),
        ("own", "history removed"),
    ]
    rows = {row[0].text: row for row in table.body[0].rows}
    assert [part.text for part in rows["SASRec"][1:4]] == ["0.0477", "not run", "–"]
    assert [part.mark for part in rows["Ours"][1:3]] == ["best", "best"]
    assert [part.mark for part in rows["SASRec"][1:3]] == ["second", ""]
    assert table.body[2].rows[1][2].text == "no ids"


def test_the_notes_name_the_variants_and_end_with_the_layout_s_own(laid_out, layout):
    *_, variants, own = exhibit(laid_out, layout).notes
    assert "Pop is pop; SASRec is sasrec; Ours is pop, on sports mmsrec-text, on own mmsrec-text" in variants
    assert own == "A note of the layout."
