"""Learning curves with the validation Recall@10 of each epoch."""

import polars as pl

from mmsrec.report.charts import Figure, Line, LineChart
from mmsrec.report.experiment_groups import TRAINED, heading
from mmsrec.report.inputs import Inputs

METRIC = "recall@10"


def exhibit(inputs: Inputs) -> Figure:
    """A chart a data set with a line for every trained variant and seed."""
    frame = inputs.histories()
    variants = list(dict.fromkeys(experiment.variant for experiment in inputs.experiments))
    validated = frame.drop_nulls(METRIC)
    absent = [variant for variant in variants if variant not in set(validated["variant"])]
    notes = ["The marker is at the best epoch. Several seeds of a variant are lines of one style."]
    if absent:
        notes.append(f"Without epochs or validation, and so without a line: {', '.join(absent)}.")
    return Figure(
        title="Learning curves",
        caption="Recall@10 on the validation items after every epoch of training.",
        frame=frame,
        charts=[
            _chart(rows) for _, rows in validated.group_by([group.field for group in TRAINED], maintain_order=True)
        ],
        x_label="epoch",
        y_label="validation Recall@10",
        notes=notes,
    )


def _chart(rows: pl.DataFrame) -> LineChart:
    title = heading(rows)
    best = "; ".join(_best(variant, epochs) for (variant,), epochs in rows.group_by("variant", maintain_order=True))
    return LineChart(
        title=title,
        alternative=f"Validation Recall@10 by epoch in {title}. Best epochs: {best}.",
        series=[
            Line(variant, epochs["epoch"].to_list(), epochs[METRIC].to_list(), epochs[METRIC].arg_max())
            for (variant, _), epochs in rows.group_by("variant", "seed", maintain_order=True)
        ],
    )


def _best(variant: str, epochs: pl.DataFrame) -> str:
    """The variant with its best value, and the epoch of that value; with several seeds, the mean of the best values."""
    best = epochs.sort(METRIC, descending=True, maintain_order=True).unique("seed", keep="first", maintain_order=True)
    if best.height == 1:
        return f"{variant} {best[METRIC][0]:.4f} in epoch {best['epoch'][0]}"
    return f"{variant} {best[METRIC].mean():.4f}, the mean of {best.height} seeds"
