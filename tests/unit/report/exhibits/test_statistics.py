"""Tables 2 and 4 from planted statistics."""

import pytest

from mmsrec.report.exhibits.statistics import exhibit
from mmsrec.settings.layouts import SizeLayout


def rows_of(table):
    return {(row["domain"], row["k_core"]): row for row in table.frame.to_dicts()}


def test_the_k_cores_of_a_domain_follow_each_other(inputs):
    assert list(rows_of(exhibit(inputs))) == [
        ("sports", 5),
        ("sports", 7),
        ("own", 5),
        ("beauty", 5),
        ("beauty", 7),
    ]


def test_a_measured_row_has_the_values_of_table_4_and_its_note(inputs):
    row = rows_of(exhibit(inputs))["sports", 7]
    assert (row["users_reported"], row["users"], row["users_difference"]) == (8389, 8388, -1)
    assert row["actions_difference"] == 0
    assert row["sparsity_difference"] == pytest.approx(0.99783 - 0.9978)
    assert row["reported_in"] == "Table 4"
    assert "* sports, 7-core: Table 4 counts a padding user and item: 8388 and 5134 without." in exhibit(inputs).notes


def test_a_core_that_the_paper_does_not_report_has_no_reported_numbers(inputs):
    rows = rows_of(exhibit(inputs))
    for core in [("own", 5), ("beauty", 7)]:
        assert rows[core]["users"] == 8388
        assert [rows[core][name] for name in ("users_reported", "users_difference", "reported_in", "note")] == [
            None
        ] * 4


def test_a_layout_shows_its_k_cores_and_the_reason_for_a_missing_one(laid_out):
    (layout,) = laid_out.params.reports["laid-out"].layouts(SizeLayout)
    table = exhibit(laid_out, layout)
    assert (table.title, table.frame["domain"].to_list()) == ("Sizes", ["sports", "beauty"])
    sports, beauty = table.body[0].rows
    assert [part.text for part in sports[2:4]] == ["35,598", "8,388"]
    assert [part.text for part in beauty[2:5]] == ["22,363", "no data", "–"]
