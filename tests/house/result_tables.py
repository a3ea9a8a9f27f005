"""The tables of docs/results.md: each follows a comment that names its CSV file, and shows what the file holds."""

import csv
import re
from pathlib import Path

_MARK = re.compile(r"<!-- table (\S+\.csv) -->\n")
_HIDDEN = {"commit"}  # history, which the document does not show
_NUMBER = re.compile(r"[-±.,\d\s]*")


def tables(document: Path) -> list[tuple[Path, str]]:
    """The CSV file of each table of a document, with the table's text."""
    parts = _MARK.split(document.read_text(encoding="utf-8"))
    return [
        (document.parent / name, text.split("\n\n")[0].strip())
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    ]


def rewritten(document: Path) -> str:
    """The text of a document whose tables show their files."""
    text = document.read_text(encoding="utf-8")
    for path, table in tables(document):
        text = text.replace(table, rendered(path))
    return text


def rendered(path: Path) -> str:
    """A CSV file as a Markdown table; a column `NAME ±` is shown behind NAME."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in _HIDDEN and not name.endswith(" ±")]
    cells = [[_cell(row, name) for name in names] for row in rows]
    rules = ["---:" if all(map(_NUMBER.fullmatch, column)) else "---" for column in zip(*cells, strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, rules, *cells])


def _cell(row: dict[str, str], name: str) -> str:
    interval = row.get(f"{name} ±")
    return f"{row[name]} ± {interval}" if interval else row[name]
