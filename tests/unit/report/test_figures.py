"""Figures: equal bytes for equal input, readable legends, colours that keep their distance."""

import io
import sys
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import matplotlib
import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from mmsrec.report import figures
from mmsrec.report.charts import BarChart, Bars, Figure, Line, LineChart, split
from mmsrec.report.figures import draw, draw_charts


def figure(*charts, **options) -> Figure:
    return Figure("T", "C", pl.DataFrame(), charts, "epoch", "Recall@10", **options)


def lines(count: int, **options) -> LineChart:
    return LineChart("L", "a < b & ü", [Line(f"v{i}", [1, 2, 3], [0.1, 0.2 + i, 0.1], 1) for i in range(count)])


BARS = BarChart("B", "c", ["x", "$y_z"], [Bars("r", [0.1, None], [0.02, None]), Bars("s", [-0.2, 0.3], [None, 0.1])])


def test_equal_figures_give_equal_bytes_without_a_date_whatever_the_settings_of_the_process():
    shown = figure(lines(3), BARS)
    modules = set(sys.modules)
    first = draw(shown)
    assert "matplotlib.pyplot" not in set(sys.modules) - modules
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.hashsalt": None}):
        second = draw(shown)
    assert first == second
    assert b"<dc:date>" not in first["svg"]
    assert "Software" not in Image.open(io.BytesIO(first["png"])).info


def test_the_files_hold_title_and_text_alternative():
    drawn = draw(figure(lines(2), BARS))
    assert "a < b & ü c" in "".join(ElementTree.fromstring(drawn["svg"]).itertext())
    assert Image.open(io.BytesIO(drawn["png"])).info["Description"] == "a < b & ü c"


def test_a_figure_without_charts_has_no_picture():
    assert draw(figure()) == {}


def test_many_labels_become_charts_of_ten_with_one_scale():
    parts = list(split(lines(23)))
    assert [part.title for part in parts] == ["L (1 of 3)", "L (2 of 3)", "L (3 of 3)"]
    assert [len(part.series) for part in parts] == [10, 10, 3]
    assert {part.reach for part in parts} == {22.2}
    assert [chart.title for chart, _ in draw_charts(figure(lines(10), BARS))] == ["L", "B"]


def test_lines_with_one_label_stay_in_one_chart():
    seeds = [Line(f"v{i % 10}", [1], [0.1], 0) for i in range(30)]
    assert [len(part.series) for part in split(LineChart("L", "", seeds))] == [30]


def test_one_line_with_one_point_at_zero_is_drawn():
    ((_, svg),) = draw_charts(figure(LineChart("L", "", [Line("v", [1], [0.0], 0)])))
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_bars_and_intervals_are_where_their_values_are(monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "_bytes", lambda canvas, kind, words: drawn.setdefault(kind, canvas))
    draw(figure(BARS))
    (axes,) = drawn["svg"].axes
    widths = [
        [bar.get_width() for bar in container.patches] for container in axes.containers if hasattr(container, "patches")
    ]
    np.testing.assert_equal(widths, [[0.1, np.nan], [-0.2, 0.3]])
    intervals = [segment[:, 0].tolist() for collection in axes.collections for segment in collection.get_segments()]
    assert intervals == [pytest.approx([0.08, 0.12]), pytest.approx([0.2, 0.4])]
    assert axes.get_xlim()[0] < -0.2
    assert axes.get_xlim()[1] > 0.4
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "$y_z"]
    assert [text.get_text() for text in drawn["svg"].legends[0].get_texts()] == ["r", "s"]


def test_points_of_lines_have_intervals_and_names(monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "_bytes", lambda canvas, kind, words: drawn.setdefault(kind, canvas))
    line = Line("v", [-0.1, 0.9], [0.1, 0.2], 0, [0.05, None])
    draw(figure(LineChart("L", "", [line], ticks=["few", "many"])))
    (axes,) = drawn["svg"].axes
    (interval,) = [segment[:, 1].tolist() for collection in axes.collections for segment in collection.get_segments()]
    assert interval == pytest.approx([0.05, 0.15])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["few", "many"]
    assert LineChart("L", "", [Line("v", [0], [0.1], 0, [0.4])]).highest == 0.5


def test_a_bar_beside_a_taller_chart_keeps_its_thickness(monkeypatch):
    drawn = {}
    monkeypatch.setattr(figures, "_bytes", lambda canvas, kind, words: drawn.setdefault(kind, canvas))
    tall = BarChart("B", "", list("abcdefgh"), [Bars("r", [0.1] * 8, [None] * 8)])
    short = BarChart("B", "", ["a"], [Bars("r", [0.1], [None])])
    draw(figure(tall, short))
    drawn["svg"].canvas.draw()
    tall_bar, short_bar = (axes.patches[0].get_window_extent().height for axes in drawn["svg"].axes)
    assert short_bar == pytest.approx(tall_bar, rel=0.5)


def test_thirty_labels_differ_in_style_or_marker():
    with figures._style():
        looks = figures._styles([f"v{i}" for i in range(30)]).values()
    assert len({(look["color"], str(look["linestyle"]), look["marker"]) for look in looks}) == 30
    assert len({look["color"] for look in looks}) == len({str(look["linestyle"]) for look in looks}) == 6


# Machado, Oliveira and Fernandes, 2009, severity 1: linear RGB as people with each colour-vision deficiency see it.
VISION = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(color: str, vision: str) -> np.ndarray:
    """CIELAB coordinates; a distance of 2.3 is just noticeable."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / (XYZ @ np.ones(3))
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def palette() -> list[str]:
    with figures._style():
        return [look["color"] for look in matplotlib.rcParams["axes.prop_cycle"]]


@pytest.mark.parametrize("vision", VISION)
def test_colours_keep_their_distance(vision):
    nearest = min(np.linalg.norm(lab(a, vision) - lab(b, vision)) for a, b in combinations(palette(), 2))
    assert nearest >= 15


def test_colours_stand_out_from_white_paper():
    luminance = [((lab(color, "full")[0] + 16) / 116) ** 3 for color in palette()]
    assert min(1.05 / (value + 0.05) for value in luminance) >= 3
