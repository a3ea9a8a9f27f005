"""Learning curves: validation Recall@10 by epoch."""

import polars as pl

from mmsrec.report.chart import Line, line_chart
from mmsrec.report.figure import Figure, Panel
from mmsrec.report.inputs import Inputs

METRIC = "recall@10"


def learning_figure(inputs: Inputs) -> Figure:
    """A chart a k-core with a line for every trained variant and seed."""
    frame = inputs.histories()
    variants = list(dict.fromkeys(experiment.variant for experiment in inputs.experiments))
    trained = frame["variant"].unique(maintain_order=True).to_list()
    untrained = [variant for variant in variants if variant not in trained]
    notes = ["The mark is at the best epoch. Several seeds of a variant are lines of the same colour."]
    if untrained:
        notes.append(f"Without epochs, and so without a line: {', '.join(untrained)}.")
    return Figure(
        name="learning",
        title="Learning curves",
        caption="Recall@10 on the validation items after every epoch of training.",
        frame=frame,
        panels=[
            _panel(domain, k_core, rows, trained)
            for (domain, k_core), rows in frame.group_by("domain", "k_core", maintain_order=True)
        ],
        notes=notes,
    )


def _panel(domain: str, k_core: int, rows: pl.DataFrame, variants: list[str]) -> Panel:
    lines = [
        Line(variant, epochs["epoch"].to_list(), epochs[METRIC].to_list(), epochs[METRIC].arg_max())
        for (variant, _), epochs in rows.group_by("variant", "seed", maintain_order=True)
    ]
    best = "; ".join(f"{line.label} {line.y[line.marked]:.4f} in epoch {line.x[line.marked]}" for line in lines)
    return Panel(
        caption=f"{domain}, {k_core}-core",
        chart=line_chart(
            lines,
            variants,
            x_label="epoch",
            y_label="validation Recall@10",
            summary=f"Validation Recall@10 by epoch in {domain}, {k_core}-core. Best: {best}.",
        ),
    )
