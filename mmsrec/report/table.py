"""A table as data, and its csv, md and html."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import polars as pl

from mmsrec.report.markup import Html, element, joined

ABSENT = "–"
# Characters that Markdown or the HTML within it would take for markup.
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\|*`["} | {"<": "&lt;", "&": "&amp;", "\n": " "})


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


@dataclass(frozen=True)
class Column:
    """How a column of a table's frame is shown.

    Args:
        field: the frame's column.
        label: its heading.
        over: a heading above those of neighbours that have the same.
        show: a value as text.
        interval: the frame's column with half the width of the value's interval.
        remark: the frame's column that holds a text where the value needs a remark; the value then has an asterisk.
        best: whether the highest value of a group of rows is in bold.
    """

    field: str
    label: str
    over: str = ""
    show: Callable[[Any], str] = str
    interval: str | None = None
    remark: str | None = None
    best: bool = False

    @property
    def title(self) -> str:
        return f"{self.over} {self.label}".strip()

    def text(self, row: dict[str, Any]) -> str:
        if row[self.field] is None:
            return ABSENT
        mark = "*" if self.remark and row[self.remark] else ""
        margin = row[self.interval] if self.interval else None
        return mark + self.show(row[self.field]) + ("" if margin is None else f" ± {self.show(margin)}")


@dataclass(frozen=True)
class Table:
    """Rows with a caption and notes; a column without any value is left out of md and html, never of the csv.

    Args:
        name: file name without a suffix.
        title: short heading.
        caption: what the rows and columns are.
        frame: the data.
        columns: what is shown, the first one naming the row.
        groups: columns whose equal neighbours make one group of rows; empty for no groups.
        notes: remarks below the table.
    """

    name: str
    title: str
    caption: str
    frame: pl.DataFrame
    columns: Sequence[Column]
    groups: Sequence[Column] = ()
    notes: Sequence[str] = ()

    def files(self) -> dict[str, str]:
        """File names with their text."""
        return {f"{self.name}.csv": self.frame.write_csv(), f"{self.name}.md": self.markdown()}

    def markdown(self) -> str:
        """A GitHub-flavoured table below its caption, with the notes as a list."""
        columns = [*self.groups, *self.shown]
        lines = [
            _line(_plain(column.title) for column in columns),
            _line("---:" if self._is_number(column) else "---" for column in columns),
        ]
        for rows in self._grouped().values():
            best = self._best(rows)
            for row in rows:
                texts = ((_plain(column.text(row)), (column.field, row[column.field]) in best) for column in columns)
                lines.append(_line(f"**{text}**" if bold else text for text, bold in texts))
        notes = [f"- {_plain(note)}" for note in self.notes]
        return "\n".join([f"**{_plain(self.caption)}**", "", *lines, "", *notes]).rstrip() + "\n"

    def html(self) -> Html:
        """The table in a container that scrolls by itself, with the notes below."""
        bodies = (self._body(heading, rows) for heading, rows in self._grouped().items())
        caption = element("caption", element("span", self.caption))
        table = element("table", caption, self._head(), *bodies)
        notes = element("ul", *(element("li", note) for note in self.notes), class_="notes") if self.notes else ""
        scroll = element("div", table, class_="scroll", tabindex=0, role="region", aria_label=self.title)
        return joined(scroll, notes)

    @cached_property
    def shown(self) -> list[Column]:
        """The columns that have a value, or all of them where there are no rows."""
        return [
            column
            for column in self.columns
            if self.frame.is_empty() or self.frame[column.field].null_count() < self.frame.height
        ]

    def _grouped(self) -> dict[str, list[dict[str, Any]]]:
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in self.frame.to_dicts():
            heading = ", ".join(column.text(row) for column in self.groups)
            groups.setdefault(heading, []).append(row)
        return groups

    def _best(self, rows: list[dict[str, Any]]) -> set[tuple[str, Any]]:
        """The columns that mark their highest value, each with that value."""
        fields = [column.field for column in self.shown if column.best]
        present = {field: [row[field] for row in rows if row[field] is not None] for field in fields}
        return {(field, max(values)) for field, values in present.items() if values}

    def _is_number(self, column: Column) -> bool:
        return self.frame.schema[column.field].is_numeric()

    def _align(self, column: Column) -> str | None:
        return "number" if self._is_number(column) else None

    def _head(self) -> Html:
        spans, tops, labels = [], [], []
        for over, group in groupby(self.shown, lambda column: column.over):
            columns = list(group)
            spans.append(element("colgroup", span=len(columns)))
            if over:
                tops.append(element("th", over, scope="colgroup", colspan=len(columns)))
                labels += [element("th", column.label, scope="col", class_=self._align(column)) for column in columns]
            else:
                tops += [
                    element("th", column.label, scope="col", rowspan=2, class_=self._align(column))
                    for column in columns
                ]
        return joined(*spans, element("thead", element("tr", *tops), element("tr", *labels)))

    def _body(self, heading: str, rows: list[dict[str, Any]]) -> Html:
        best = self._best(rows)
        top = element("th", element("span", heading), scope="rowgroup", colspan=len(self.shown))
        return element(
            "tbody",
            element("tr", top, class_="group") if heading else "",
            *(self._row(row, best) for row in rows),
        )

    def _row(self, row: dict[str, Any], best: set[tuple[str, Any]]) -> Html:
        first, *rest = self.shown
        cells = [element("th", first.text(row), scope="row")]
        for column in rest:
            text = column.text(row)
            content = element("strong", text) if (column.field, row[column.field]) in best else text
            cells.append(element("td", content, class_=self._align(column)))
        return element("tr", *cells)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    return text.translate(_MARKDOWN)
