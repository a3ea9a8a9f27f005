"""A table's formats, from small frames."""

import polars as pl
import pytest

from mmsrec.report.table import Column, Table, fixed, integer, signed, signed_integer


def table(frame, columns, **options):
    return Table(name="t", title="T", caption="C", frame=pl.DataFrame(frame), columns=columns, **options)


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (integer, 12101, "12,101"),
        (fixed, 0.09494, "0.0949"),
        (signed, 0.00125, "+0.0013"),
        (signed, -0.5, "−0.5000"),
        (signed, -0.00004, "0.0000"),
        (signed_integer, -1234, "−1,234"),
        (signed_integer, 0, "0"),
        (signed_integer, 1, "+1"),
    ],
)
def test_numbers_as_text(show, value, text):
    assert show(value) == text


def test_markdown_escapes_what_would_be_markup():
    shown = table({"a": ["x|y *z* <b>"]}, [Column("a", "A")], notes=["1 < 2\nand"]).markdown()
    assert shown.splitlines() == ["**C**", "", "| A |", "| --- |", "| x\\|y \\*z\\* &lt;b> |", "", "- 1 &lt; 2 and"]


def test_html_escapes_text():
    assert "<td>&lt;b&gt;&amp;</td>" in table({"a": ["r"], "b": ["<b>&"]}, [Column("a", "A"), Column("b", "B")]).html()


def test_a_column_without_values_is_in_the_csv_only():
    shown = table(
        {"a": ["x"], "b": pl.Series([None], dtype=pl.Float64)}, [Column("a", "A"), Column("b", "B", over="O")]
    )
    assert "B" not in shown.markdown().replace("**C**", "")
    assert "<th" in shown.html()
    assert ">O<" not in shown.html()
    assert shown.files()["t.csv"] == "a,b\nx,\n"


def test_a_table_without_rows_has_its_header():
    empty = table({"a": pl.Series([], dtype=pl.String)}, [Column("a", "A")])
    assert empty.markdown().splitlines()[2:] == ["| A |", "| --- |"]
    assert '<th scope="col" rowspan="2">A</th>' in empty.html()


def test_rows_of_a_group_stand_together_below_its_heading():
    frame = {"g": ["x", "y", "x"], "n": ["1", "2", "3"]}
    html = table(frame, [Column("n", "N")], groups=[Column("g", "G")]).html()
    assert html.count('scope="rowgroup"') == 2
    assert html.index(">1<") < html.index(">3<") < html.index(">y<") < html.index(">2<")


def test_the_best_of_a_group_ignores_absent_values_and_marks_equals():
    frame = {"g": ["x", "x", "x", "y"], "v": [0.1, 0.3, 0.3, None]}
    shown = table(frame, [Column("v", "V", show=fixed, best=True)], groups=[Column("g", "G")]).markdown()
    assert shown.splitlines()[4:] == ["| x | 0.1000 |", "| x | **0.3000** |", "| x | **0.3000** |", "| y | – |"]
