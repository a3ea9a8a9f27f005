"""Test metrics by how often the test item occurs in training, with a line for each model."""

from itertools import product

import polars as pl

from mmsrec.report.cells import CHANCE, first_protocol
from mmsrec.report.charts import Figure, Line, LineChart
from mmsrec.report.exhibits.scores import variants_note
from mmsrec.report.experiment_groups import GROUPS
from mmsrec.report.inputs import Inputs
from mmsrec.report.popularity_means import bucket_names, popularity_frame
from mmsrec.report.table import Column, Table, fixed, metric_title
from mmsrec.settings.layouts import PopularityLayout

# Lines of a chart lie side by side, so that their intervals do not cover each other.
BESIDE = 0.06


def exhibit(inputs: Inputs, layout: PopularityLayout) -> Figure:
    """A chart for each data set and metric under the first protocol, and a table with the numbers of all."""
    frame = popularity_frame(inputs, layout)
    first = first_protocol(inputs, layout, frame)
    groups = [part for _, part in first.group_by("domain", "k_core", "split", maintain_order=True)]
    charts = [_chart(group, metric, layout) for group, metric in product(groups, layout.metrics)]
    table = _table(layout, frame)
    return Figure(
        title=layout.title,
        caption=layout.caption,
        frame=frame,
        charts=[chart for chart in charts if chart.series],
        x_label="training actions with the test item",
        y_label="",
        notes=table.notes,
        table=table,
    )


def _table(layout: PopularityLayout, frame: pl.DataFrame) -> Table:
    """A group of rows for each data set, protocol and bucket."""
    measured = [
        Column(
            f"{name}_measured",
            metric_title(name),
            show=fixed,
            interval=f"{name}_interval",
            missing="missing",
            best="highest",
        )
        for name in layout.metrics
    ]
    return Table(
        title=layout.title,
        caption=layout.caption,
        frame=frame,
        columns=[Column("label", "Model"), *measured, Column("seeds", "Seeds")],
        groups=[
            *GROUPS,
            Column("bucket", "Training actions", show="{} in training".format),
            Column("users", "Users", show="{:,} users".format),
        ],
        notes=[
            "A user's group is the number of training actions of all users with the user's test item. Training has "
            "every sequence without its last two items.",
            f"{CHANCE} is the expected score of a random ranking of the same candidates.",
            *variants_note(layout),
            *layout.notes,
        ],
    )


def _chart(group: pl.DataFrame, metric: str, layout: PopularityLayout) -> LineChart:
    """A line for each model, with intervals over seeds."""
    names, known = bucket_names(layout.bounds), group.filter(pl.col(f"{metric}_measured").is_not_null())
    labels = known["label"].unique(maintain_order=True)
    lines = []
    for place, label in enumerate(labels):
        points, shift = known.filter(label=label), BESIDE * (place - (len(labels) - 1) / 2)
        x = [names.index(bucket) + shift for bucket in points["bucket"]]
        y, margins = (points[f"{metric}_{part}"].to_list() for part in ("measured", "interval"))
        lines.append(Line(label, x, y, 0, margins))
    title = f"{metric_title(metric)} on {group['domain'][0]}"
    numbers = "; ".join(f"{line.label} {', '.join(map(fixed, line.y))}" for line in lines)
    return LineChart(title, f"{title} for {', '.join(names)} training actions: {numbers}.", lines, ticks=names)
