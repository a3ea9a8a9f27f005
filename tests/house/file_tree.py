"""The tree of files in docs/extending.md, made from the docstrings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.prose import ROOT

DOCUMENT = ROOT / "docs" / "extending.md"
FOLDERS = ("mmsrec", "workflow/scripts", "benchmarks")
_TREE = re.compile(r"(<!-- tree -->\n```\n)(.*?)(```)", re.DOTALL)
_COLUMN = 34


def tree(root: Path) -> str:
    """A line for each module below the folders: its path, and the first sentence of its docstring."""
    return "".join(f"{line}\n" for folder in FOLDERS for line in _lines(root, root / folder))


def listed(document: str) -> list[str]:
    """The paths in a document's tree, from the root."""
    parents: list[str] = []
    paths = []
    for line in _TREE.search(document)[2].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        paths.append("".join([*parents[:depth], name]))
        if name.endswith("/"):
            parents[depth:] = [name]
    return paths


def rewritten(document: str, text: str) -> str:
    """The document with another tree."""
    return _TREE.sub(lambda found: found[1] + text + found[3], document)


def _lines(root: Path, folder: Path, depth: int = 0) -> Iterator[str]:
    name = folder.relative_to(root).as_posix() if depth == 0 else folder.name
    yield _line(depth, f"{name}/", folder / "__init__.py")
    for path in sorted(folder.iterdir()):
        if path.is_dir() and (path / "__init__.py").is_file():
            yield from _lines(root, path, depth + 1)
        elif path.suffix == ".py" and path.stem != "__init__":
            yield _line(depth + 1, path.name, path)


def _line(depth: int, name: str, module: Path) -> str:
    text = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module.is_file() else None) or ""
    sentence = re.split(r"(?<=[^.])[.;:](?:\s|$)", text)[0].replace("\n", " ").strip()
    return f"{'  ' * depth + name:<{_COLUMN - 1}} {sentence}".rstrip()
