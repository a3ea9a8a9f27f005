"""CSV files that people open in a spreadsheet. A text from a catalogue must not become a formula there."""

import polars as pl

# A cell with one of these first characters is a formula for some spreadsheet (OWASP, "CSV Injection").
_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
_NUMBER = r"^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$"


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Puts an apostrophe before each text that a spreadsheet would calculate. Numbers are not changed.

    Only CSV files need this. Parquet and JSON Lines keep the texts as they are.

    Args:
        table: any table. A text that is a plain number is not changed either.
    """
    texts = pl.col(pl.String)
    dangerous = texts.str.contains(_FORMULA) & ~texts.str.contains(_NUMBER)
    return table.with_columns(pl.when(dangerous).then("'" + texts).otherwise(texts).name.keep())
