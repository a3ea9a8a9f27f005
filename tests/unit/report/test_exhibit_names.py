"""Exhibits are found by their file names, without matplotlib."""

import subprocess
import sys

import pytest

from mmsrec.errors import ParamsError
from mmsrec.report.exhibit_names import exhibit_names
from mmsrec.report.exhibits import load_exhibit
from mmsrec.settings.layouts import PopularityLayout, RetrievalLayout, ScoreLayout, SizeLayout
from mmsrec.settings.params import parse_params, schema


def test_every_exhibit_can_be_loaded():
    bare = {"comparison", "learning", "retrieval"}
    drawn = {
        "statistics": SizeLayout,
        "retrieval_scores": RetrievalLayout,
        "popularity": PopularityLayout,
        **dict.fromkeys(("scores", "gains", "core_lines", "ablation_bars"), ScoreLayout),
    }
    assert bare | set(drawn) == set(exhibit_names())
    for name, layout in [*((name, None) for name in (*bare, "statistics")), *drawn.items()]:
        assert load_exhibit(name, layout).__module__ == f"mmsrec.report.exhibits.{name}"


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("comparison", ScoreLayout),
        ("scores", None),
        ("scores", SizeLayout),
        ("gains", SizeLayout),
        ("popularity", ScoreLayout),
        ("scores", PopularityLayout),
    ],
)
def test_a_layout_of_another_kind_is_refused(name, layout):
    with pytest.raises(ParamsError, match="does not draw this kind of layout"):
        load_exhibit(name, layout)


@pytest.mark.parametrize("name", ["tables", "__init__", "os", "../inputs", ""])
def test_another_name_is_refused(name):
    with pytest.raises(ParamsError, match="unknown exhibit"):
        load_exhibit(name)


def test_a_report_with_an_unknown_exhibit_is_refused_by_the_parameters(params):
    raw = params.model_dump(mode="json", exclude_none=True)
    raw["reports"]["empty"]["exhibits"] = ["comparison", "comparsion"]
    with pytest.raises(ParamsError, match=r"reports.empty.exhibits.1: unknown exhibit 'comparsion'; known: "):
        parse_params(raw)


def test_the_schema_lists_the_names():
    items = schema()["$defs"]["Report"]["properties"]["exhibits"]["items"]
    assert next(choice["enum"] for choice in items["oneOf"] if "enum" in choice) == exhibit_names()


def test_reading_the_parameters_imports_no_matplotlib():
    code = "import sys, mmsrec.settings.params; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
