"""Counts and reports the malformed rows of a raw file; too many are an error."""

import logging

import polars as pl

from mmsrec.errors import ParseError

logger = logging.getLogger(__name__)

LARGEST_SHARE = 0.01
_SHOWN = 5


class Malformed:
    """Counts the rows of a file and its malformed rows, which are dropped.

    Args:
        where: the file, for messages.
        expected: the format of a row, for messages.
    """

    def __init__(self, where: object, expected: str) -> None:
        self.where = where
        self.expected = expected
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

    def add(self, example: str) -> None:
        """Counts one malformed row."""
        self.rows += 1
        self.count += 1
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
                fix="Delete the file and download it again, or set the source that has this format.",
            )
        logger.warning("%s: malformed rows are dropped: %s", self.where, examples)
