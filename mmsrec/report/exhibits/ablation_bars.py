"""Metrics of a model and of its ablations as bars, as Figure 3 of the paper."""

import polars as pl

from mmsrec.report.cells import cells, first_protocol
from mmsrec.report.charts import BarChart, Bars, Figure
from mmsrec.report.exhibits import scores
from mmsrec.report.inputs import Inputs
from mmsrec.report.table import metric_title
from mmsrec.settings.layouts import ScoreLayout


def exhibit(inputs: Inputs, layout: ScoreLayout) -> Figure:
    """A chart for each data set and metric under the first protocol, and a table with the numbers of both."""
    found = cells(inputs, layout)
    first = first_protocol(inputs, layout, found)
    groups = first.group_by("domain", "k_core", "split", "metric", maintain_order=True)
    charts = [_chart(group) for _, group in groups if group["measured"].is_not_null().any()]
    return scores.figure(inputs, layout, found, charts)


def _chart(group: pl.DataFrame) -> BarChart:
    """One bar for each measured value, and one for each of the paper's numbers."""
    title = f"{metric_title(group['metric'][0])} on {group['domain'][0]}"
    measured = Bars("measured", group["measured"].to_list(), group["interval"].to_list())
    reported = Bars("the paper", group["reported"].to_list(), [None] * group.height)
    known = group.filter(pl.col("measured").is_not_null())
    numbers = ", ".join(f"{label} {value:.4f}" for label, value in known.select("label", "measured").iter_rows())
    series = [measured, reported] if reported.drawn else [measured]
    return BarChart(title, f"{title}: {numbers}.", group["label"].to_list(), series)
