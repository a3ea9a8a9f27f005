"""Ticks and the geometry of a chart."""

import re
from importlib.resources import files

import pytest

from mmsrec.report.chart import BOTTOM, LEFT, RIGHT, STYLES, TOP, Line, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 0.09, False, [0, 0.02, 0.04, 0.06, 0.08, 0.1]),
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 12, True, [0, 5, 10, 15]),
        (1, 3, True, [1, 2, 3]),
        (1, 1, True, [1, 2]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low, high, whole, expected):
    assert ticks(low, high, whole=whole) == pytest.approx(expected, abs=0)


@pytest.mark.parametrize("high", [1e-6, 0.00317, 0.7, 1.0000001, 99, 12345.6])
def test_there_are_never_too_many_ticks(high):
    values = ticks(0, high)
    assert 3 <= len(values) <= 7
    assert values[-1] >= high * (1 - 1e-9)


def chart(lines, labels):
    return line_chart(lines, labels, x_label="epoch", y_label="recall", summary="a < b")


def test_points_are_where_their_values_are():
    svg = chart([Line("a", [1, 2, 3], [0.0, 0.5, 1.0], marked=2)], ["a"])
    middle = f"{(LEFT + RIGHT) / 2:.1f} {(TOP + BOTTOM) / 2:.1f}"
    assert f'd="M{LEFT:.1f} {BOTTOM:.1f}L{middle}L{RIGHT:.1f} {TOP:.1f}"' in svg
    assert f'transform="translate({RIGHT:.1f} {TOP:.1f})"' in svg
    assert 'aria-label="a &lt; b"' in svg


def test_a_label_has_one_style_and_one_entry_however_many_lines():
    lines = [Line("b", [1, 2], [0.1, 0.2], 1), Line("b", [1], [0.1], 0)]
    svg = chart(lines, ["a", "b"])
    assert re.findall(r"style-\d", svg) == ["style-1"] * 3
    assert svg.count(">b<") == 1
    assert ">a<" not in svg


def test_thirty_labels_differ_in_style_or_mark():
    labels = [f"v{index}" for index in range(30)]
    svg = chart([Line(label, [1, 2], [0.1, 0.2], 1) for label in labels], labels)
    looks = re.findall(r'<g class="(style-\d)"><path class="line"[^>]*></path><path class="mark" d="([^"]*)"', svg)
    assert len(set(looks)) == 30


def test_every_style_is_in_the_style_sheet():
    css = (files("mmsrec.report") / "page.css").read_text(encoding="utf-8")
    assert re.findall(r"^\.style-(\d)", css, re.MULTILINE) == [str(index) for index in range(STYLES)]
