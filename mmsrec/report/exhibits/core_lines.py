"""Metrics by the k of the k-core, a line for each model, as Figure 2 of the paper."""

from collections.abc import Iterator

import polars as pl

from mmsrec.report.cells import cells, first_protocol
from mmsrec.report.charts import Figure, Line, LineChart
from mmsrec.report.exhibits import scores
from mmsrec.report.inputs import Inputs
from mmsrec.report.table import metric_title
from mmsrec.settings.layouts import ScoreLayout


def exhibit(inputs: Inputs, layout: ScoreLayout) -> Figure:
    """A chart for each data set and metric under the first protocol, and a table with the numbers of both."""
    found = cells(inputs, layout)
    first = first_protocol(inputs, layout, found)
    # Two rows of `domains` may be one data set with different features.
    names = {name: domain.published or name for name, domain in inputs.params.domains.items()}
    first = first.with_columns(data=pl.col("domain").replace_strict(names, return_dtype=pl.String))
    groups = first.group_by("data", "split", "metric", maintain_order=True)
    charts = [_chart(group) for _, group in groups if group["measured"].is_not_null().any()]
    return scores.figure(inputs, layout, found, charts, x_label="k of the k-core")


def _lines(group: pl.DataFrame) -> Iterator[Line]:
    """A line for each model, measured; and the paper's numbers as a separate line."""
    for column, suffix in (("measured", ""), ("reported", ", the paper")):
        known = group.filter(pl.col(column).is_not_null()).sort("k_core")
        for (label,), points in known.group_by("label", maintain_order=True):
            yield Line(f"{label}{suffix}", points["k_core"].to_list(), points[column].to_list(), 0)


def _chart(group: pl.DataFrame) -> LineChart:
    lines = list(_lines(group))
    title = f"{metric_title(group['metric'][0])} on {group['data'][0]}"
    numbers = (
        f"{line.label} " + ", ".join(f"{value:.4f} at k {k}" for k, value in zip(line.x, line.y, strict=True))
        for line in lines
    )
    return LineChart(title, f"{title} by k: {'; '.join(numbers)}.", lines)
