import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mmsrec.spreadsheets import without_formulas


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('=HYPERLINK("http://a.example","x")', '\'=HYPERLINK("http://a.example","x")'),
        ("=1", "'=1"),
        ("+1+1", "'+1+1"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1", "'\uff1d1"),
        # Numbers and other texts.
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
        (" =1", " =1"),
        ("", ""),
        (None, None),
    ],
)
def test_a_text_that_a_spreadsheet_would_calculate_gets_an_apostrophe(text: str | None, written: str | None) -> None:
    table = pl.DataFrame({"title": pl.Series([text], dtype=pl.String)})

    assert without_formulas(table).item() == written


def test_columns_of_numbers_are_not_changed() -> None:
    table = pl.DataFrame({"score": [-1.5, None], "rank": [-1, 2], "list": [["=1"], []]})

    assert_frame_equal(without_formulas(table), table)
