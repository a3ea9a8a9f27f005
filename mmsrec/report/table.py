"""The data of a table with typed columns, groups of rows, and marks for the best and second best value of a group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

import polars as pl

ABSENT = "–"
# With two values, the second best is the worst.
FEWEST_FOR_SECOND = 3

FAMILIES = {"recall": "Recall", "ndcg": "NDCG", "mrr": "MRR"}

Mark = Literal["", "best", "second"]


def metric_title(metric: str) -> str:
    """The name of a metric in a heading, such as Recall@10."""
    family, at, cutoff = metric.partition("@")
    return f"{FAMILIES[family]}{at}{cutoff}"


def integer(value: int) -> str:
    """12,101"""
    return f"{value:,}"


def fixed(value: float) -> str:
    """0.0949"""
    return f"{value:.4f}"


def signed_integer(value: int) -> str:
    """+1, −1 or 0"""
    return _signed(value, f"{abs(value):,}")


def signed(value: float) -> str:
    """+0.0012, −0.0012 or 0.0000: the sign is of the rounded number"""
    return _signed(round(value, 4), f"{abs(value):.4f}")


def _signed(value: float, digits: str) -> str:
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{digits}"


def percent(value: float) -> str:
    """+8.6 %, −8.6 % or 0.0 %: the sign is of the rounded number"""
    return f"{_signed(round(value, 1), f'{abs(value):.1f}')} %"


def probability(value: float) -> str:
    """0.012, or < 0.001"""
    return f"{value:.3f}" if value >= 0.0005 else "< 0.001"


@dataclass(frozen=True)
class Column:
    """How a column of a table's frame is shown.

    Args:
        field: the frame's column.
        label: its heading.
        over: a heading above neighbours that share it.
        show: turns a value into text.
        interval: the frame's column with half the width of the value's interval.
        remarks: the frame's columns with remarks on the value; the value has an asterisk where one of them has text.
        missing: the frame's column with the text that is shown where there is no value.
        best: which value of a group of rows is the best; None marks none.
    """

    field: str
    label: str
    over: str = ""
    show: Callable[[Any], str] = str
    interval: str | None = None
    remarks: Sequence[str] = ()
    missing: str | None = None
    best: Literal["highest", "lowest"] | None = None

    @property
    def title(self) -> str:
        return f"{self.over} {self.label}".strip()

    def text(self, row: dict[str, Any]) -> str:
        if row[self.field] is None:
            return (row[self.missing] if self.missing else None) or ABSENT
        asterisk = "*" if any(row[remark] for remark in self.remarks) else ""
        margin = row[self.interval] if self.interval else None
        return asterisk + self.show(row[self.field]) + ("" if margin is None else f" ± {self.show(margin)}")

    def marks(self, rows: Sequence[dict[str, Any]]) -> dict[Any, Mark]:
        """The marks of a group's values; equal values share a mark."""
        if self.best is None:
            return {}
        values = [row[self.field] for row in rows if row[self.field] is not None]
        ranked = sorted(set(values), reverse=self.best == "highest")
        marks: tuple[Mark, ...] = ("best", "second") if len(values) >= FEWEST_FOR_SECOND else ("best",)
        return dict(zip(ranked, marks, strict=False))


@dataclass(frozen=True)
class Cell:
    """A value as text."""

    text: str
    mark: Mark
    number: bool


@dataclass(frozen=True)
class Group:
    """Rows below one heading, which is empty in a table without groups.

    Args:
        heading: the texts of the table's group columns, joined.
        names: the same texts, one for each group column.
        rows: the cells of each row, one a shown column.
    """

    heading: str
    names: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Span:
    """Neighbouring columns below one heading, which may be empty."""

    over: str
    columns: Sequence[Column]


@dataclass(frozen=True)
class Table:
    """Rows with a caption and notes; a column without any value or text is in the csv only.

    Args:
        title: short heading.
        caption: what the rows and columns are.
        frame: the data.
        columns: the shown columns; the first one names the row.
        groups: columns whose equal values make one group of rows; empty for no groups.
        notes: remarks below the table.
    """

    title: str
    caption: str
    frame: pl.DataFrame
    columns: Sequence[Column]
    groups: Sequence[Column] = ()
    notes: Sequence[str] = ()

    @cached_property
    def shown(self) -> list[Column]:
        """The columns that have a value or a text in its place, or all of them where there are no rows."""
        return [
            column
            for column in self.columns
            if self.frame.is_empty() or any(self._has(name) for name in (column.field, column.missing) if name)
        ]

    @property
    def spans(self) -> list[Span]:
        """The shown columns, with neighbours below a common heading together."""
        return [Span(over, list(columns)) for over, columns in groupby(self.shown, lambda column: column.over)]

    @property
    def body(self) -> list[Group]:
        """The groups in the order of their first row."""
        rows_of: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in self.frame.to_dicts():
            rows_of.setdefault(tuple(column.text(row) for column in self.groups), []).append(row)
        return [Group(", ".join(names), names, self._cells(rows)) for names, rows in rows_of.items()]

    @property
    def marked(self) -> bool:
        """Whether a column marks its best values."""
        return any(column.best for column in self.shown)

    def is_number(self, column: Column) -> bool:
        """Whether the column is aligned to the right."""
        return self.frame.schema[column.field].is_numeric()

    def _has(self, name: str) -> bool:
        return self.frame[name].null_count() < self.frame.height

    def _cells(self, rows: Sequence[dict[str, Any]]) -> list[list[Cell]]:
        marks = {column.field: column.marks(rows) for column in self.shown}
        return [
            [
                Cell(column.text(row), marks[column.field].get(row[column.field], ""), self.is_number(column))
                for column in self.shown
            ]
            for row in rows
        ]
