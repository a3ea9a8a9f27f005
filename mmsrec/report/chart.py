"""Small line charts as SVG; their colours, line styles and type sizes are those of page.css."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmsrec.report.markup import Html, element

WIDTH, PLOT_HEIGHT, LEGEND_LINE = 420, 250, 20
LEFT, RIGHT, TOP, BOTTOM = 56, 410, 12, 206
# Styles of page.css: a colour and a line style each.
STYLES = 6
# Outlines around (0, 0): circle, square, triangle, diamond, cross. Five marks and six styles repeat after thirty lines.
MARKS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-4-4h8v8h-8z",
    "M0-5l5 9h-10z",
    "M0-5.5l5.5 5.5l-5.5 5.5l-5.5-5.5z",
    "M-4-1.3h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7z",
)


@dataclass(frozen=True)
class Line:
    """Points joined in order; lines of the same label share a style and one entry of the legend.

    Args:
        label: its name in the legend.
        x: positions of the points, ascending; at least one.
        y: heights of the points, none below 0.
        marked: index of the point that carries the mark.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    marked: int


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high` in data, drawn from `start` to `end` in the picture."""

    label: str
    ticks: Sequence[float]
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def line_chart(lines: Sequence[Line], labels: Sequence[str], *, x_label: str, y_label: str, summary: str) -> Html:
    """A chart of `lines` with axes and a legend below.

    Args:
        lines: at least one.
        labels: every label of a set of charts; its place there fixes a line's style, so that charts agree.
        x_label: what x is, a whole number.
        y_label: what y is; the axis begins at 0.
        summary: the chart in words, for those who cannot see it.
    """
    first, last = (bound(value for line in lines for value in line.x) for bound in (min, max))
    x_ticks = [tick for tick in ticks(first, last, whole=True) if first <= tick <= last]
    y_ticks = ticks(0, max(value for line in lines for value in line.y))
    x = Axis(x_label, x_ticks, first, max(last, first + 1), LEFT, RIGHT)
    y = Axis(y_label, y_ticks, 0, y_ticks[-1], BOTTOM, TOP)
    places = {label: place for place, label in enumerate(labels)}
    used = {line.label for line in lines}
    named = [label for label in labels if label in used]
    height = PLOT_HEIGHT + LEGEND_LINE * len(named)
    return element(
        "svg",
        *_horizontal_axis(x),
        *_vertical_axis(y),
        *(_line(line, places[line.label], x, y) for line in lines),
        *(_legend(label, places[label], PLOT_HEIGHT + LEGEND_LINE * row) for row, label in enumerate(named)),
        class_="chart",
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=summary,
    )


def ticks(low: float, high: float, *, whole: bool = False, count: int = 5) -> list[float]:
    """About `count` round numbers, 1, 2 or 5 times a power of ten apart, from at most `low` to at least `high`."""
    span = high - low or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * count >= span * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    # Twelve digits hide that a multiple of 0.1 is not exact in binary.
    return [round(index * step, 12) for index in range(first, last + 1)]


def _horizontal_axis(axis: Axis) -> list[Html]:
    middle = (axis.start + axis.end) / 2
    return [
        *(_text(text, axis.at(tick), BOTTOM + 18, "middle") for tick, text in _labelled(axis.ticks)),
        _text(axis.label, middle, BOTTOM + 36, "middle", class_="axis"),
    ]


def _vertical_axis(axis: Axis) -> list[Html]:
    rules = (element("path", class_="rule", d=f"M{LEFT} {axis.at(tick):.1f}H{RIGHT}") for tick in axis.ticks)
    middle = (axis.start + axis.end) / 2
    turned = f"rotate(-90 14 {middle:g})"
    return [
        *rules,
        *(_text(text, LEFT - 8, axis.at(tick) + 4, "end") for tick, text in _labelled(axis.ticks)),
        _text(axis.label, 14, middle, "middle", class_="axis", transform=turned),
    ]


def _labelled(values: Sequence[float]) -> list[tuple[float, str]]:
    """The values with their texts, all with as many decimals as one of them needs."""
    decimals = max(len(f"{value:g}".partition(".")[2]) for value in values)
    return [(value, f"{value:.{decimals}f}") for value in values]


def _text(text: str, x: float, y: float, anchor: str, **attributes: object) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, **attributes)


def _line(line: Line, place: int, x: Axis, y: Axis) -> Html:
    points = [f"{x.at(across):.1f} {y.at(up):.1f}" for across, up in zip(line.x, line.y, strict=True)]
    path = element("path", class_="line", d=f"M{'L'.join(points)}")
    return _styled(place, path, _mark(points[line.marked], place))


def _styled(place: int, *children: Html) -> Html:
    return element("g", *children, class_=f"style-{place % STYLES}")


def _mark(point: str, place: int) -> Html:
    return element("path", class_="mark", d=MARKS[place % len(MARKS)], transform=f"translate({point})")


def _legend(label: str, place: int, top: int) -> Html:
    middle = top + LEGEND_LINE / 2
    sample = element("path", class_="line", d=f"M{LEFT} {middle:g}h36")
    mark = _mark(f"{LEFT + 18} {middle:g}", place)
    return _styled(place, sample, mark, _text(label, LEFT + 46, middle + 4, "start"))
