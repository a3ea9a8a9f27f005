"""A table's groups, texts and marks, from small frames."""

import polars as pl
import pytest

from mmsrec.report.table import Column, Table, fixed, integer, signed, signed_integer


def table(frame, columns, **options):
    return Table(title="T", caption="C", frame=pl.DataFrame(frame), columns=columns, **options)


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


def marks(table):
    return [[(cell.text, cell.mark) for row in group.rows for cell in row] for group in table.body]


def test_a_column_without_values_is_in_the_csv_only():
    nothing = pl.Series([None], dtype=pl.Float64)
    shown = table({"a": ["x"], "b": nothing}, [Column("a", "A"), Column("b", "B", over="O")])
    assert [column.label for column in shown.shown] == ["A"]
    assert [span.over for span in shown.spans] == [""]
    assert shown.frame.columns == ["a", "b"]


def test_a_table_without_rows_shows_all_columns():
    empty = table({"a": pl.Series([], dtype=pl.String)}, [Column("a", "A")])
    assert [column.label for column in empty.shown] == ["A"]
    assert empty.body == []


def test_rows_of_a_group_follow_each_other_below_its_heading():
    frame = {"g": ["x", "y", "x"], "h": [5, 5, 5], "n": ["1", "2", "3"]}
    groups = [Column("g", "G"), Column("h", "H", show="{}-core".format)]
    body = table(frame, [Column("n", "N")], groups=groups).body
    assert [(group.heading, group.names) for group in body] == [
        ("x, 5-core", ("x", "5-core")),
        ("y, 5-core", ("y", "5-core")),
    ]
    assert [[row[0].text for row in group.rows] for group in body] == [["1", "3"], ["2"]]


def test_neighbours_with_one_heading_are_one_span():
    columns = [Column("a", "A"), Column("b", "B", over="O"), Column("c", "C", over="O")]
    spans = table({"a": [1], "b": [2], "c": [3]}, columns).spans
    assert [(span.over, len(span.columns)) for span in spans] == [("", 1), ("O", 2)]


def test_the_best_and_the_second_best_of_a_group_ignore_absent_values_and_equals_share_a_mark():
    frame = {"g": ["x"] * 5 + ["y"] * 2 + ["z"], "v": [0.1, 0.3, 0.2, 0.3, None, 0.4, 0.5, None]}
    shown = table(frame, [Column("v", "V", show=fixed, best="highest")], groups=[Column("g", "G")])
    assert marks(shown) == [
        [("0.1000", ""), ("0.3000", "best"), ("0.2000", "second"), ("0.3000", "best"), ("–", "")],
        # If there are two values, the second best is the worst and has no mark.
        [("0.4000", ""), ("0.5000", "best")],
        [("–", "")],
    ]


def test_the_lowest_can_be_the_best():
    shown = table({"v": [3, 1, 2]}, [Column("v", "V", best="lowest")])
    assert marks(shown) == [[("3", ""), ("1", "best"), ("2", "second")]]


def test_a_value_has_its_interval_and_an_asterisk_for_any_remark():
    frame = {"v": [0.5, 0.5, 0.5], "i": [0.1, None, None], "r": ["", None, "why"], "s": ["why", None, None]}
    column = Column("v", "V", show=fixed, interval="i", remarks=("r", "s"))
    assert [cell.text for row in table(frame, [column]).body[0].rows for cell in row] == [
        "*0.5000 ± 0.1000",
        "0.5000",
        "*0.5000",
    ]
