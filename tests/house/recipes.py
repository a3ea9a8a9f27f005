"""The recipes of docs/extending.md as edits of files, so that a test can follow them.

A comment before a code block says where the code goes:
`<!-- step RECIPE: create PATH -->`, `<!-- step RECIPE: after LINE in PATH -->`, `before` or `replace`.
The LINE is a part of the first such line of the file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_STEP = re.compile(
    r"<!-- step (?P<recipe>[\w-]+): (?P<action>create|(?:after|before|replace) (?P<line>[^\n]+?) in) (?P<path>\S+) -->"
    r"\n+```\w*\n(?P<code>.*?)```",
    re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """One edit.

    Attributes:
        recipe: name of the recipe.
        action: create, after, before or replace.
        path: the file, from the root.
        line: a part of the line that the edit refers to; empty for `create`.
        code: whole lines.
    """

    recipe: str
    action: str
    path: str
    line: str
    code: str


def steps(document: str) -> list[Step]:
    """The steps of a document, in order."""
    return [
        Step(found["recipe"], found["action"].split()[0], found["path"], found["line"] or "", found["code"])
        for found in _STEP.finditer(document)
    ]


def is_done(step: Step, root: Path) -> bool:
    """Whether a file already has the code of a step."""
    path = root / step.path
    return path.is_file() and step.code in path.read_text(encoding="utf-8")


def follow(todo: Iterable[Step], root: Path) -> None:
    """Makes the edits below a folder."""
    for step in todo:
        path = root / step.path
        if step.action == "create":
            assert not path.exists(), f"{step.path} exists and differs from the recipe {step.recipe}"
            path.write_text(step.code, encoding="utf-8")
        else:
            path.write_text(_edited(path.read_text(encoding="utf-8"), step), encoding="utf-8")


def rewritten(document: str, root: Path) -> str:
    """The document with the present text of each file that a recipe creates and the repository keeps."""

    def kept(found: re.Match[str]) -> str:
        path = root / found["path"]
        if found["action"] != "create" or not path.is_file():
            return found[0]
        return found[0].replace(found["code"], path.read_text(encoding="utf-8"))

    return _STEP.sub(kept, document)


def _edited(text: str, step: Step) -> str:
    lines = text.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if step.line in line]
    assert places, f"{step.path} has no line with {step.line!r}"
    start = places[0] + (step.action == "after")
    end = places[0] + 1 if step.action == "replace" else start
    return "".join([*lines[:start], step.code, *lines[end:]])
