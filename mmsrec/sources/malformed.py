"""Counts and reports the malformed rows of a raw file; too many are an error."""

import logging

import polars as pl

from mmsrec.errors import ParseError

logger = logging.getLogger(__name__)

LARGEST_SHARE = 0.01
_SHOWN = 5

# A raw file comes from a download, or from the user. No advice may make a user delete the only copy.
FIX = "If the file was downloaded, download it again. Else correct its rows, or set the source that has this format."
OWN_FIX = "Correct these rows; docs/data.md describes the format. A Parquet table needs no quoting."


class Malformed:
    """Counts the rows of a file and its malformed rows, which are dropped.

    Args:
        where: the file, for messages.
        expected: the format of a row, for messages.
        fix: an action, for the error message.
    """

    def __init__(self, where: object, expected: str, fix: str = FIX) -> None:
        self.where = where
        self.expected = expected
        self.fix = fix
        self.rows = 0
        self.count = 0
        self.examples: list[str] = []

    def keep(self, frame: pl.DataFrame, good: pl.Expr, label: pl.Expr) -> pl.DataFrame:
        """Returns the rows where `good` is true. The others are counted, and `label` names the first of them."""
        is_good = frame.select(good.fill_null(False)).to_series()
        wrong = frame.filter(~is_good)
        self.rows += frame.height
        self.count += wrong.height
        self.examples += wrong.head(_SHOWN - len(self.examples)).select(label).to_series().to_list()
        return frame.filter(is_good)

    def without(self, frame: pl.DataFrame, wrong: pl.Expr, example: str) -> pl.DataFrame:
        """Returns the rows where `wrong` is false. The others are counted; the caller counts the rows that stay."""
        is_wrong = frame.select(wrong.fill_null(False)).to_series()
        for _ in range(is_wrong.sum()):
            self.add(example)
        return frame.filter(~is_wrong)

    def add(self, example: str, rows: int = 1) -> None:
        """Counts malformed rows, or the lines of a row that holds several."""
        self.rows += rows
        self.count += rows
        if len(self.examples) < _SHOWN:
            self.examples.append(example)

    def close(self) -> None:
        """Reports the malformed rows. Call it after the last row.

        Raises:
            ParseError: the file has no row, or more than 1 % of its rows are malformed.
        """
        if not self.rows:
            raise ParseError("A raw file has no rows.", where=self.where, expected=self.expected)
        if not self.count:
            return
        examples = f"{self.count:,} of {self.rows:,} rows, first {', '.join(self.examples)}"
        if self.count > LARGEST_SHARE * self.rows:
            raise ParseError(
                f"More than {LARGEST_SHARE:.0%} of a raw file's rows are malformed.",
                where=self.where,
                expected=self.expected,
                found=examples,
                fix=self.fix,
            )
        logger.warning("%s: malformed rows are dropped: %s", self.where, examples)
