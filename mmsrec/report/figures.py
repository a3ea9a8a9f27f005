"""Draws figures with matplotlib as SVG and PNG; equal figures give equal bytes.

The Agg and SVG canvases are used directly: pyplot would keep figures and a backend as state of the process.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from typing import Any

import matplotlib.figure
import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from mmsrec.report.charts import BarChart, Chart, Figure, LineChart, split

# Inches: a chart is about as wide as a telephone of 390 pixels, so that its text stays readable there.
WIDTH, LINE_CHART_HEIGHT, LEGEND_LINE, BAR, BAR_CHART_FRAME = 4.2, 2.9, 0.2, 0.17, 0.9
COLUMNS = 2
# Inches: a letter and a sample of the legend. They give the number of entries in one line.
LETTER, SAMPLE = 0.085, 0.65
# Five markers and the six line styles of style.mplstyle repeat after thirty labels.
MARKERS = ("o", "s", "^", "D", "P")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
# Share of a category's height that its bars fill.
GROUP = 0.8
# The white edge keeps an interval visible on a dark bar.
INTERVAL = {
    "color": "#1d1f21",
    "linewidth": 1,
    "linestyle": "-",
    "capsize": 2.5,
    "path_effects": [withStroke(linewidth=2.5, foreground="white")],
}
# An axis ends 5 % above the highest value.
MARGIN = 1.05
# A date or a version of matplotlib would make equal figures differ.
WITHOUT = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}

Styles = dict[str, dict[str, object]]


def draw(figure: Figure) -> dict[str, bytes]:
    """The whole figure by file type, `svg` and `png`; nothing for a figure without charts."""
    charts = _parts(figure)
    return _draw(figure, charts, ("svg", "png"), titled=True) if charts else {}


def draw_charts(figure: Figure) -> Iterator[tuple[Chart, bytes]]:
    """Each chart alone as SVG without its title, so that a page can set the charts side by side or one by one."""
    for chart in _parts(figure):
        yield chart, _draw(figure, [chart], ("svg",), titled=False)["svg"]


def _parts(figure: Figure) -> list[Chart]:
    return [part for chart in figure.charts for part in split(chart)]


def _draw(figure: Figure, charts: Sequence[Chart], kinds: Sequence[str], *, titled: bool) -> dict[str, bytes]:
    with _style():
        styles = _styles(figure.labels)
        columns = min(COLUMNS, len(charts))
        rows = [charts[start : start + columns] for start in range(0, len(charts), columns)]
        heights = [max(DRAWERS[type(chart)].height(chart) for chart in row) for row in rows]
        legend = _Legend(figure, charts, WIDTH * columns)
        canvas = matplotlib.figure.Figure(figsize=(WIDTH * columns, sum(heights) + legend.height))
        FigureCanvasAgg(canvas)
        grid = canvas.add_gridspec(len(rows), columns, height_ratios=heights)
        samples: dict[str, Artist] = {}
        for place, chart in enumerate(charts):
            row, column = divmod(place, columns)
            axes = canvas.add_subplot(grid[row, column])
            samples |= DRAWERS[type(chart)].plot(chart, axes, styles, heights[row])
            axes.set(xlabel=figure.x_label, ylabel=figure.y_label, title=chart.title if titled else "")
        legend.add_to(canvas, samples)
        words = {"Title": figure.title, "Description": " ".join(chart.alternative for chart in charts)}
        return {kind: _bytes(canvas, kind, words) for kind in kinds}


@contextmanager
def _style() -> Iterator[None]:
    """matplotlib's defaults and the style sheet; a matplotlibrc of the user has no effect."""
    with matplotlib.style.context(["default", str(files("mmsrec.report") / "style.mplstyle")]):
        yield


def _styles(labels: Sequence[str]) -> Styles:
    """Colour, line style, marker and hatch of every label; a label's place in the figure decides them."""
    looks = list(matplotlib.rcParams["axes.prop_cycle"])
    return {
        label: looks[place % len(looks)]
        | {"marker": MARKERS[place % len(MARKERS)], "hatch": HATCHES[place % len(HATCHES)]}
        for place, label in enumerate(labels)
    }


class _Legend:
    """The labels below the charts, in as many columns as the width allows; a figure with one label needs none."""

    def __init__(self, figure: Figure, charts: Sequence[Chart], width: float) -> None:
        used = {series.label for chart in charts for series in chart.series}
        self.labels = [label for label in figure.labels if label in used] if len(figure.labels) > 1 else []
        longest = max(map(len, self.labels), default=0)
        self.columns = max(1, min(len(self.labels), int(width / (SAMPLE + LETTER * longest))))
        self.height = LEGEND_LINE * math.ceil(len(self.labels) / self.columns)

    def add_to(self, canvas: matplotlib.figure.Figure, samples: dict[str, Artist]) -> None:
        if self.labels:
            handles = [samples[label] for label in self.labels]
            canvas.legend(handles, self.labels, loc="outside lower center", ncols=self.columns)


def _plot_lines(chart: LineChart, axes: Axes, styles: Styles, height: float) -> dict[str, Artist]:
    samples = {}
    for line in chart.series:
        look = {name: value for name, value in styles[line.label].items() if name != "hatch"}
        (samples[line.label],) = axes.plot(line.x, line.y, markevery=[line.marked], markeredgecolor="white", **look)
        for x, y, margin in zip(line.x, line.y, line.margins, strict=bool(line.margins)):
            if margin is not None:
                axes.errorbar(x, y, yerr=margin, **INTERVAL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if chart.ticks:
        axes.set_xticks(range(len(chart.ticks)), chart.ticks)
    axes.set_ylim(0, MARGIN * max(chart.reach, chart.highest) or 1)
    return samples


def _plot_bars(chart: BarChart, axes: Axes, styles: Styles, height: float) -> dict[str, Artist]:
    # Next to a taller chart, bars keep their thickness and the space between them grows.
    group = GROUP * (_bar_chart_height(chart) - BAR_CHART_FRAME) / (height - BAR_CHART_FRAME)
    thickness = group / len(chart.series)
    samples = {}
    for place, bars in enumerate(chart.series):
        look = {name: value for name, value in styles[bars.label].items() if name in {"color", "hatch"}}
        middles = [row + (place + 0.5) * thickness - group / 2 for row in range(len(chart.categories))]
        ends = [math.nan if value is None else value for value in bars.values]
        samples[bars.label] = axes.barh(middles, ends, thickness, edgecolor="white", linewidth=0.5, **look)
        for middle, value, margin in zip(middles, bars.values, bars.margins, strict=True):
            if value is not None and margin is not None:
                axes.errorbar(value, middle, xerr=margin, **INTERVAL)
    axes.set_yticks(range(len(chart.categories)), chart.categories)
    axes.set_ylim(len(chart.categories) - 0.5, -0.5)
    axes.set_xlim(right=MARGIN * max(chart.reach, chart.highest) or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    return samples


def _bar_chart_height(chart: BarChart) -> float:
    return BAR_CHART_FRAME + BAR * len(chart.categories) * max(len(chart.series) / GROUP, 1.5)


@dataclass(frozen=True)
class _Drawer:
    """How a kind of chart is drawn.

    Args:
        height: inches that the chart needs.
        plot: draws the chart at a height of so many inches and returns a sample of each label for the legend.
    """

    height: Callable[[Any], float]
    plot: Callable[[Any, Axes, Styles, float], dict[str, Artist]]


DRAWERS = {
    LineChart: _Drawer(lambda chart: LINE_CHART_HEIGHT, _plot_lines),
    BarChart: _Drawer(_bar_chart_height, _plot_bars),
}


def _bytes(canvas: matplotlib.figure.Figure, kind: str, words: dict[str, str]) -> bytes:
    """The figure as a file that holds its title and text alternative, and neither a date nor a version."""
    stream = BytesIO()
    canvas.savefig(stream, format=kind, metadata=words | WITHOUT[kind])
    return stream.getvalue()
