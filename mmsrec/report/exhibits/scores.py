"""Metrics of models in several data sets, reported and measured, as Tables 3 and 5 of the paper."""

from collections.abc import Iterable, Sequence

import polars as pl

from mmsrec.report.cells import CELL, CHANCE, IMPOSSIBLE, cells, chance_cells
from mmsrec.report.charts import Chart, Figure
from mmsrec.report.experiment_groups import GROUPS
from mmsrec.report.inputs import Inputs
from mmsrec.report.table import Column, Table, fixed, metric_title, percent
from mmsrec.settings.layouts import ModelLayout, ScoreLayout

# The parts of a cell that each metric has for itself.
PARTS = ("reported", "remark", "measured", "interval", "difference", "incomparable")
ROW = [name for name in CELL if name not in {"metric", *PARTS}]


def exhibit(inputs: Inputs, layout: ScoreLayout) -> Table:
    """A group of rows for each data set and protocol, and a row for each model."""
    found = cells(inputs, layout)
    shown = pl.concat([found, chance_cells(inputs, layout)]) if layout.chance else found
    return Table(
        title=layout.title,
        caption=layout.caption,
        frame=by_model(shown, layout.metrics),
        columns=[
            Column("label", "Model"),
            *(column for name in layout.metrics for column in _columns(name)),
            Column("seeds", "Seeds"),
        ],
        groups=GROUPS,
        notes=[
            *_remarks(found),
            *variants_note(layout),
            *([f"{CHANCE} is the expected score of a random ranking."] if layout.chance else []),
            *layout.notes,
        ],
    )


def figure(
    inputs: Inputs, layout: ScoreLayout, found: pl.DataFrame, charts: Sequence[Chart], *, x_label: str = ""
) -> Figure:
    """Charts of the cells of a layout, with its table of scores."""
    table = exhibit(inputs, layout)
    return Figure(
        title=layout.title,
        caption=layout.caption,
        frame=found,
        charts=charts,
        x_label=x_label,
        y_label="",
        notes=table.notes,
        table=table,
    )


def by_model(found: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """One row for each model, data set and protocol: the columns of `ROW`, and METRIC_PART for each of `PARTS`."""
    rows: dict[tuple, dict[str, object]] = {}
    for cell in found.to_dicts():
        row = {name: cell[name] for name in ROW}
        parts = {f"{cell['metric']}_{part}": cell[part] for part in PARTS}
        rows.setdefault(tuple(row[name] for name in ROW), row).update(parts)
    types = {f"{metric}_{part}": CELL[part] for metric in metrics for part in PARTS}
    return pl.DataFrame(list(rows.values()), schema={name: CELL[name] for name in ROW} | types)


def _columns(metric: str) -> list[Column]:
    over = metric_title(metric)
    return [
        Column(f"{metric}_reported", "reported", over=over, show=fixed, remarks=(f"{metric}_remark",), best="highest"),
        Column(
            f"{metric}_measured",
            "measured",
            over=over,
            show=fixed,
            interval=f"{metric}_interval",
            missing="missing",
            best="highest",
        ),
        Column(f"{metric}_difference", "difference", over=over, show=percent, missing=f"{metric}_incomparable"),
    ]


def _remarks(found: pl.DataFrame) -> Iterable[str]:
    rows = found.filter(pl.col("remark").is_not_null()).select("label", "domain", "remark").unique(maintain_order=True)
    for label, domain, remark in rows.iter_rows():
        yield f"* {label} on {domain}: the paper {remark}."
    if found["incomparable"].is_not_null().any():
        yield f"{IMPOSSIBLE}: no ranking can have the reported number, so there is no difference to it."


def variants_note(layout: ModelLayout) -> Iterable[str]:
    """The note that names the variant of each label."""
    named = []
    for model in layout.models:
        others = "".join(f", on {domain} {variant}" for domain, variant in model.by_domain.items())
        named.append(f"{model.label} is {model.variant}{others}")
    yield f"Variants in params.yaml: {'; '.join(named)}."
