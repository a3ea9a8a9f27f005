"""A figure as data: its csv, and its charts on the page."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mmsrec.report.markup import Html, element, joined


@dataclass(frozen=True)
class Panel:
    """One chart of a figure."""

    caption: str
    chart: Html


@dataclass(frozen=True)
class Figure:
    """Charts side by side, with a caption and notes.

    Args:
        name: file name without a suffix.
        title: short heading.
        caption: what the charts show.
        frame: the data behind them.
        panels: the charts.
        notes: remarks below the charts.
    """

    name: str
    title: str
    caption: str
    frame: pl.DataFrame
    panels: Sequence[Panel]
    notes: Sequence[str] = ()

    def files(self) -> dict[str, str]:
        """File names with their text."""
        return {f"{self.name}.csv": self.frame.write_csv()}

    def html(self) -> Html:
        """The charts, as many side by side as there is room for."""
        panels = (element("figure", element("figcaption", panel.caption), panel.chart) for panel in self.panels)
        notes = element("ul", *(element("li", note) for note in self.notes), class_="notes") if self.notes else ""
        return joined(element("p", self.caption, class_="caption"), element("div", *panels, class_="panels"), notes)
