"""Metrics of zero-shot retrieval from texts to videos, reported and measured, as Table 1 of the paper."""

from typing import Any

import polars as pl

from mmsrec.report.inputs import Inputs
from mmsrec.report.published import published_value
from mmsrec.report.table import Column, Table, fixed, metric_title, percent
from mmsrec.settings.layouts import RetrievalLayout, ShownEncoder
from mmsrec.settings.plan import Retrieval

DIRECTION = "text_to_video"
ROW = {
    "label": pl.String,
    "pretraining": pl.String,
    "corpus": pl.String,
    "model": pl.String,
    "pairs": pl.Int64,
    "missing": pl.String,
}
PARTS = ("reported", "measured", "difference")


def exhibit(inputs: Inputs, layout: RetrievalLayout) -> Table:
    """A row for each model."""
    return Table(
        title=layout.title,
        caption=layout.caption,
        frame=retrieval_scores(inputs, layout),
        columns=[
            Column("label", "Model"),
            *(column for name in layout.metrics for column in _columns(name)),
            Column("pairs", "Clips"),
        ],
        notes=layout.notes,
    )


def retrieval_scores(inputs: Inputs, layout: RetrievalLayout) -> pl.DataFrame:
    """One row for each model: the columns of `ROW`, and METRIC_PART for each of `PARTS`.

    The differences are in per cent.
    """
    found = {
        (row["pretraining"], row["corpus"], row["model"]): row
        for row in inputs.retrievals().filter(direction=DIRECTION).to_dicts()
    }
    rows = [
        _row(inputs, layout, model, found.get((model.pretraining, model.corpus, model.model)))
        for model in layout.encoders
    ]
    parts = {f"{metric}_{part}": pl.Float64 for metric in layout.metrics for part in PARTS}
    return pl.DataFrame(rows, schema=ROW | parts)


def _row(inputs: Inputs, layout: RetrievalLayout, model: ShownEncoder, found: dict[str, Any] | None) -> dict[str, Any]:
    absent = None if found else inputs.absence(Retrieval(model.pretraining, model.corpus))
    row = {name: getattr(model, name) for name in ("label", "pretraining", "corpus", "model")}
    row |= {"pairs": found and found["pairs"], "missing": absent}
    for metric in layout.metrics:
        reported, measured = _reported(inputs, model, metric), found and found[metric]
        difference = 100 * (measured / reported - 1) if found and reported else None
        row |= dict(zip((f"{metric}_{part}" for part in PARTS), (reported, measured, difference), strict=True))
    return row


def _reported(inputs: Inputs, model: ShownEncoder, metric: str) -> float | None:
    dataset, paper = getattr(inputs.params.corpora[model.corpus], "published", None), model.reported
    if dataset is None or paper is None:
        return None
    return published_value(paper.table, dataset, paper.model, paper.features, metric).value


def _columns(metric: str) -> list[Column]:
    over = metric_title(metric)
    return [
        Column(f"{metric}_reported", "reported", over=over, show=fixed, best="highest"),
        Column(f"{metric}_measured", "measured", over=over, show=fixed, missing="missing", best="highest"),
        Column(f"{metric}_difference", "difference", over=over, show=percent),
    ]
