"""Table 1 from planted metrics."""

import pytest

from mmsrec.errors import ArtifactError
from mmsrec.files import write_json
from mmsrec.report.exhibits.retrieval import exhibit
from mmsrec.settings.plan import retrievals_of
from tests.unit.report.conftest import planted_retrieval


def row_of(table, corpus, direction, model):
    key = (corpus, direction, model)
    return next(row for row in table.frame.to_dicts() if (row["corpus"], row["direction"], row["model"]) == key)


def test_a_measured_row_has_the_values_of_the_papers_row(inputs):
    row = row_of(exhibit(inputs), "msrvtt-test", "text to video", "pretrained")
    assert (row["recall@10"], row["recall@10_reported"], row["pairs"]) == (0.5, 0.597, 476)
    assert row["recall@10_difference"] == pytest.approx(-0.097)


def test_the_frozen_encoder_is_the_papers_clip(inputs):
    assert row_of(exhibit(inputs), "msrvtt-test", "text to video", "encoder")["recall@5_reported"] == 0.421


@pytest.mark.parametrize(
    ("corpus", "direction", "model"),
    [
        ("msrvtt-test", "video to text", "pretrained"),
        ("msrvtt-test", "text to video", "untrained"),
        ("own-clips", "text to video", "pretrained"),
    ],
)
def test_a_row_that_the_paper_does_not_report_has_no_reported_values(inputs, corpus, direction, model):
    row = row_of(exhibit(inputs), corpus, direction, model)
    assert row["recall@10_reported"] is None
    assert row["recall@10_difference"] is None


def test_every_group_has_a_row_of_a_random_ranking(inputs):
    for direction in ("text to video", "video to text"):
        assert row_of(exhibit(inputs), "own-clips", direction, "chance")["median_rank"] == 238.5


def test_the_lowest_median_rank_is_the_best(inputs):
    text_to_video = exhibit(inputs).body[0]
    marks = {row[0].text: (row[-1].text, row[-1].mark) for row in text_to_video.rows}
    assert marks["chance"] == ("238.5", "second")
    assert marks["pretrained"] == ("12.5", "best")


def test_metrics_without_a_recall_are_refused(inputs):
    retrieval = retrievals_of(inputs.params, inputs.report)[0]
    damaged = planted_retrieval(retrieval)
    del damaged["metrics"]["encoder"]["video_to_text"]["recall@5"]
    write_json(inputs.retrieval_path(retrieval), damaged)
    with pytest.raises(ArtifactError, match="keys and values of its artifact") as caught:
        exhibit(inputs)
    assert "metrics.encoder.video_to_text.recall@5" in caught.value.details["found"]


def test_metrics_of_another_corpus_are_refused(inputs):
    retrieval = retrievals_of(inputs.params, inputs.report)[0]
    write_json(inputs.retrieval_path(retrieval), planted_retrieval(retrieval) | {"corpus": "another"})
    with pytest.raises(ArtifactError, match="other parameters"):
        exhibit(inputs)
