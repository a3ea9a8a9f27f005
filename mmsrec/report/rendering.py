"""Fills the Jinja2 templates; every value is escaped for its format before it enters a page, Markdown or TeX."""

import re
from base64 import b64encode
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmsrec.report.charts import Figure
from mmsrec.report.figures import draw, draw_charts
from mmsrec.report.table import Table
from mmsrec.spreadsheets import without_formulas

_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\|*_`[]"} | {"<": "&lt;", "&": "&amp;"})
_BORDER = re.compile(r"(?<!\\)\|")
_TEX = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    # After the end of a row, an asterisk or a bracket would be an argument.
    | {"*": "{*}", "[": "{[}"}
    | {"−": "$-$", "±": r"$\pm$", "×": r"$\times$", "–": "--"}
)


def plain_markdown(text: str) -> str:
    """Escapes Markdown and HTML; line breaks become spaces, because a line break ends a table's row."""
    return _one_line(text).translate(_MARKDOWN)


def plain_tex(text: str) -> str:
    """Escapes LaTeX's special characters; line breaks become spaces."""
    return _one_line(text).translate(_TEX)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _escaping(escape: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: escape(value) if isinstance(value, str) else value


# A longer list of notes is folded on the page and follows the float in TeX.
FEW_NOTES = 6

_COMMON = {
    "loader": PackageLoader("mmsrec.report"),
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}
# Jinja2's usual delimiters are braces, which TeX uses itself.
_TEX_DELIMITERS = {
    "block_start_string": "<%",
    "block_end_string": "%>",
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
HTML = Environment(**_COMMON, autoescape=True)
MARKDOWN = Environment(**_COMMON, autoescape=False, finalize=_escaping(plain_markdown))  # noqa: S701
TEX = Environment(**_COMMON, **_TEX_DELIMITERS, autoescape=False, finalize=_escaping(plain_tex))  # noqa: S701


def table_markdown(table: Table) -> str:
    """A GitHub-flavoured table below its caption, with the notes as a list."""
    text = MARKDOWN.get_template("table.md.j2").render(table=table, columns=[*table.groups, *table.shown])
    return _aligned(text)


def _aligned(text: str) -> str:
    """Pads the cells of a Markdown table, so that a terminal shows its columns too."""
    lines = text.split("\n")
    cells = {place: _BORDER.split(line)[1:-1] for place, line in enumerate(lines) if line.startswith("|")}
    widths = [max(map(len, column)) for column in zip(*cells.values(), strict=True)]
    right = [cell.strip().endswith(":") for cell in list(cells.values())[1]]
    for place, row in cells.items():
        padded = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right, strict=True)
        )
        lines[place] = f"|{'|'.join(padded)}|"
    return "\n".join(lines)


def table_tex(table: Table, name: str) -> str:
    """A LaTeX table for the packages booktabs and graphicx, with the label tab:NAME."""
    ends = list(accumulate(len(span.columns) for span in table.spans))
    rules = [(end - len(span.columns) + 1, end) for span, end in zip(table.spans, ends, strict=True) if span.over]
    label = name.replace("_", "-")
    return TEX.get_template("table.tex.j2").render(
        table=table, name=label, headed=bool(rules), rules=rules, few_notes=FEW_NOTES
    )


def table_html(table: Table, name: str, captioned_by: str = "") -> str:
    """The caption, and the table in a box that scrolls by itself.

    Args:
        name: the section's anchor.
        captioned_by: the id of a caption above, which is then not repeated.
    """
    return HTML.get_template("table.html.j2").render(table=table, name=name, captioned_by=captioned_by)


def figure_html(figure: Figure, name: str) -> str:
    """The caption, the charts as pictures inside the page, side by side where there is room, and the table."""
    charts = [(chart, f"data:image/svg+xml;base64,{b64encode(svg).decode()}") for chart, svg in draw_charts(figure)]
    drawn = HTML.get_template("figure.html.j2").render(figure=figure, name=name, charts=charts)
    return drawn + (table_html(figure.table, f"{name}-numbers", f"{name}-caption") if figure.table else "")


def table_files(table: Table, name: str) -> dict[str, bytes]:
    """NAME.csv, NAME.md and NAME.tex."""
    texts = {
        "csv": without_formulas(table.frame).write_csv(),
        "md": table_markdown(table),
        "tex": table_tex(table, name),
    }
    return {f"{name}.{kind}": text.encode() for kind, text in texts.items()}


def figure_files(figure: Figure, name: str) -> dict[str, bytes]:
    """NAME.csv, NAME.svg and NAME.png where there is a chart, and NAME.md and NAME.tex where there is a table."""
    drawn = {"csv": without_formulas(figure.frame).write_csv().encode(), **draw(figure)}
    if figure.table:
        drawn |= {"md": table_markdown(figure.table).encode(), "tex": table_tex(figure.table, name).encode()}
    return {f"{name}.{kind}": content for kind, content in drawn.items()}


def page_html(**values: Any) -> str:
    """One HTML document from report.html.j2."""
    return HTML.get_template("report.html.j2").render(few_notes=FEW_NOTES, **values)
