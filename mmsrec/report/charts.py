"""The data of a figure with line charts or bar charts, each with a text alternative."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from mmsrec.report.table import Table

# With more labels, readers confuse lines or bars in the legend.
MOST_LABELS = 10


@dataclass(frozen=True)
class Line:
    """Points joined in order; lines with equal labels share a style and one entry of the legend.

    Args:
        label: name in the legend.
        x: positions of the points, ascending; at least one.
        y: heights of the points.
        marked: index of the point that carries a marker.
        margins: half the heights of the points' intervals; None draws no interval. Absent: no point has one.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    marked: int
    margins: Sequence[float | None] = ()

    @property
    def highest(self) -> float:
        margins = self.margins or [None] * len(self.y)
        return max(value + (margin or 0) for value, margin in zip(self.y, margins, strict=True))


@dataclass(frozen=True)
class Bars:
    """One bar a category.

    Args:
        label: name in the legend.
        values: lengths of the bars; None draws no bar.
        margins: half the widths of the values' intervals; None draws no interval.
    """

    label: str
    values: Sequence[float | None]
    margins: Sequence[float | None]

    @property
    def drawn(self) -> list[tuple[float, float | None]]:
        """The values that have a bar, each with its margin."""
        pairs = zip(self.values, self.margins, strict=True)
        return [(value, margin) for value, margin in pairs if value is not None]


@dataclass(frozen=True)
class LineChart:
    """Lines over numbered steps, or over named steps 0, 1, ...

    Args:
        title: heading of the chart.
        alternative: a sentence with the numbers that matter, for readers who cannot see the chart.
        series: at least one line.
        reach: value that the axis reaches at least.
        ticks: names of the steps; absent: their numbers.
    """

    title: str
    alternative: str
    series: Sequence[Line]
    reach: float = 0
    ticks: Sequence[str] = ()

    @property
    def highest(self) -> float:
        return max(line.highest for line in self.series)


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars in groups, one group a category.

    Args:
        title: heading of the chart.
        alternative: a sentence with the numbers that matter, for readers who cannot see the chart.
        categories: names of the groups, from top to bottom.
        series: at least one bar a category.
        reach: value that the axis reaches at least.
    """

    title: str
    alternative: str
    categories: Sequence[str]
    series: Sequence[Bars]
    reach: float = 0

    @property
    def highest(self) -> float:
        ends = (value + (margin or 0) for bars in self.series for value, margin in bars.drawn)
        return max(ends, default=0)


Chart = LineChart | BarChart


@dataclass(frozen=True)
class Figure:
    """Charts side by side, with a caption and notes.

    Args:
        title: short heading.
        caption: what the charts show.
        frame: the data behind the charts.
        charts: small multiples; equal labels have equal styles in all of them.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
        notes: remarks below the charts.
        table: the numbers behind the charts as a table; None if the csv alone has them.
    """

    title: str
    caption: str
    frame: pl.DataFrame
    charts: Sequence[Chart]
    x_label: str
    y_label: str
    notes: Sequence[str] = ()
    table: Table | None = None

    @property
    def labels(self) -> list[str]:
        """The labels of all charts, in the order of their first appearance."""
        return list(dict.fromkeys(series.label for chart in self.charts for series in chart.series))


def split(chart: Chart, most: int = MOST_LABELS) -> Iterator[Chart]:
    """The chart, or several charts of at most `most` labels each, which share one scale."""
    labels = list(dict.fromkeys(series.label for series in chart.series))
    parts = [labels[start : start + most] for start in range(0, len(labels), most)]
    for number, part in enumerate(parts, start=1):
        title = chart.title if len(parts) == 1 else f"{chart.title} ({number} of {len(parts)})"
        series = [series for series in chart.series if series.label in part]
        yield replace(chart, title=title, series=series, reach=chart.highest)
