"""Table 1 from a planted retrieval."""

import pytest

from mmsrec.report.exhibits.retrieval_scores import exhibit, retrieval_scores
from mmsrec.settings.layouts import RetrievalLayout


@pytest.fixture
def layout(laid_out):
    (layout,) = laid_out.params.reports["laid-out"].layouts(RetrievalLayout)
    return layout


def test_each_model_has_the_paper_s_and_the_measured_recalls(laid_out, layout):
    clip, ours, _ = retrieval_scores(laid_out, layout).to_dicts()
    assert (clip["recall@5_reported"], clip["recall@10_reported"]) == (0.421, 0.517)
    assert (clip["recall@10_measured"], ours["recall@10_measured"], ours["pairs"]) == (0.25, 0.5, 476)
    assert ours["recall@10_difference"] == pytest.approx(100 * (0.5 / 0.597 - 1))


def test_a_retrieval_that_cannot_be_made_has_its_reason(laid_out, layout):
    table = exhibit(laid_out, layout)
    assert [part.text for part in table.body[0].rows[2][:4]] == ["Other", "–", "no weights", "–"]
    assert [part.mark for part in table.body[0].rows[1][1:3]] == ["best", "best"]
