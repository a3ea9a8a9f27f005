"""The cells of a layout of scores: one number of one model in one data set, reported and measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from mmsrec.report.experiment_groups import COMPARED, GROUPS
from mmsrec.report.inputs import CANDIDATES, KEYS, Inputs
from mmsrec.report.published import PAPER_K_CORE, PublishedValue, published_value
from mmsrec.report.seeds import over_seeds
from mmsrec.settings.layouts import ModelLayout, ScoreLayout, ShownModel
from mmsrec.settings.plan import Cut, Experiment

CELL = {
    "domain": pl.String,
    "k_core": pl.Int64,
    "split": pl.String,
    CANDIDATES: pl.String,
    "label": pl.String,
    "variant": pl.String,
    "metric": pl.String,
    "reported": pl.Float64,
    "remark": pl.String,
    "seeds": pl.Int64,
    "measured": pl.Float64,
    "interval": pl.Float64,
    "difference": pl.Float64,
    "missing": pl.String,
    "incomparable": pl.String,
}
IMPOSSIBLE = "impossible"
CHANCE = "chance"
CHANCE_KEYS = [group.field for group in GROUPS]


@dataclass(frozen=True)
class _Measured:
    """The mean of one metric over seeds; all are None where no training is finished."""

    seeds: int | None = None
    measured: float | None = None
    interval: float | None = None


def cells(inputs: Inputs, layout: ScoreLayout) -> pl.DataFrame:
    """One row a cell and protocol, in the order of the layout, with the columns of `CELL`.

    - reported: the number of another work, beside its protocol alone.
    - remark: a remark on the reported number.
    - measured: the mean over seeds; interval is half the width of its 95 % interval.
    - difference: measured against reported, in per cent.
    - missing: the reason why there is no measured number.
    - incomparable: the reason why there is no difference although both numbers exist.
    """
    measured = _measured(inputs, layout)
    rows = [
        row
        for cut, model, experiments in layout.cells()
        for candidates in layout.protocols(inputs.params.protocols_of(cut.split))
        for row in _rows(inputs, layout, cut, model, experiments, candidates, measured)
    ]
    return pl.DataFrame(rows, schema=CELL)


def chance_cells(inputs: Inputs, layout: ScoreLayout) -> pl.DataFrame:
    """The cells of a random ranking, for each data set and protocol that has a measured number here."""
    known = _of_layout(inputs, layout).filter(pl.col(f"{layout.metrics[0]}_chance").is_not_null())
    shown = known.unique(CHANCE_KEYS, keep="first", maintain_order=True).to_dicts()
    rows = [
        {name: row[name] for name in CHANCE_KEYS}
        | {"label": CHANCE, "metric": metric, "measured": row[f"{metric}_chance"]}
        for row in shown
        for metric in layout.metrics
        if row[CANDIDATES] in layout.protocols(inputs.params.protocols_of(row["split"]))
    ]
    return pl.DataFrame(rows, schema=CELL)


def first_protocol(inputs: Inputs, layout: ModelLayout, found: pl.DataFrame) -> pl.DataFrame:
    """The cells of the protocol that charts show."""
    (first, *_) = layout.protocols(inputs.params.evaluation.candidates)
    return found.filter(pl.col(CANDIDATES) == first)


def _of_layout(inputs: Inputs, layout: ModelLayout) -> pl.DataFrame:
    """The rows of the metrics that a layout names."""
    shown = [vars(row) for *_, experiments in layout.cells() for row in experiments]
    asked = pl.DataFrame(shown, schema=KEYS).unique()
    return inputs.metrics().join(asked, on=list(KEYS), how="semi", maintain_order="left")


def _measured(inputs: Inputs, layout: ScoreLayout) -> dict[tuple, dict[str, Any]]:
    """The means over the seeds of the layout, by the values of `COMPARED`."""
    means = over_seeds(_of_layout(inputs, layout), COMPARED, layout.metrics)
    return {tuple(row[name] for name in COMPARED): row for row in means.to_dicts()}


def _rows(
    inputs: Inputs,
    layout: ScoreLayout,
    cut: Cut,
    model: ShownModel,
    experiments: list[Experiment],
    candidates: str,
    measured: dict[tuple, dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The cells of one model, one for each metric."""
    keys = vars(cut) | {"variant": experiments[0].variant, CANDIDATES: candidates}
    means = measured.get(tuple(keys[name] for name in COMPARED))
    for metric in layout.metrics:
        paper = _paper(inputs, cut, model, candidates, metric)
        own = _Measured(means["seeds"], means[f"{metric}_measured"], means[f"{metric}_interval"]) if means else None
        comparable = own and paper.value and not paper.impossible
        yield keys | {
            "label": model.label,
            "metric": metric,
            "reported": paper.value,
            "remark": paper.note,
            **vars(own or _Measured()),
            "difference": 100 * (own.measured / paper.value - 1) if comparable else None,
            "missing": None if own else inputs.absence(experiments[0]),
            "incomparable": IMPOSSIBLE if paper.impossible else None,
        }


def _paper(inputs: Inputs, cut: Cut, model: ShownModel, candidates: str, metric: str) -> PublishedValue:
    """The reported number, which is measured on the 5-core, under one protocol."""
    published = inputs.params.domains[cut.domain].published
    if model.reported is None or published is None or cut.k_core != PAPER_K_CORE:
        return PublishedValue()
    row = model.reported
    found = published_value(row.table, published, row.model, row.features, metric)
    return found if found.candidates == candidates else PublishedValue()
