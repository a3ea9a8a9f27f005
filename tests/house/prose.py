"""The prose of documents and code, and its sentences that break a rule.

A passage is prose without markup. In a document it is a paragraph, a heading, a list entry or a table cell. In code it
is a paragraph of a docstring, a block of comments or a message.
"""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST_SENTENCE = 25  # words
LONGEST_LINE = 100  # characters of a line in Markdown

# Functions and keywords whose strings are read by users.
MESSAGE_CALLS = {"info", "warning", "error", "debug", "exception"}
MESSAGE_KEYWORDS = {"help", "description", "fix", "expected", "caption", "title", "notes"}

_CODE = "Code"  # replaces inline code; it may begin a sentence
_ABBREVIATIONS = ("e.g.", "i.e.", "et al.", "vs.", "cf.", "etc.", "approx.")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
_ENTRY = re.compile(r"^(\s*)([-*+]|\d+\.)\s+")
_ARGUMENT = re.compile(r"^\s*\**\w+(, \**\w+)*( \([^)]*\))?:(\s|$)")


class Passage(NamedTuple):
    """A stretch of prose.

    Attributes:
        line: the first line in the file, from 1.
        text: prose without markup.
        is_sentence: whether the bound on a sentence's length applies; it does not to a table row.
    """

    line: int
    text: str
    is_sentence: bool


@dataclass(frozen=True)
class Rule:
    """A pattern that prose must not contain.

    Attributes:
        pattern: the expression.
        instead: the replacement or the reason.
        only: patterns of the files where it applies.
        exempt: patterns of the files where it does not apply.
    """

    pattern: re.Pattern[str]
    instead: str
    only: tuple[str, ...]
    exempt: tuple[str, ...]

    def applies(self, name: str) -> bool:
        """Whether a file, named from the root, follows this rule."""
        return fits(name, self.only) and not fits(name, self.exempt)


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits any of the patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def rules() -> list[Rule]:
    """The rules of banned_words.toml."""
    rows = tomllib.loads((HERE / "banned_words.toml").read_text(encoding="utf-8"))["banned"]
    return [
        Rule(
            re.compile(row["pattern"], 0 if re.search(r"(?<!\\)[A-Z]", row["pattern"]) else re.IGNORECASE),
            row["instead"],
            tuple(row.get("only", ["*"])),
            tuple(row.get("except", [])),
        )
        for row in rows
    ]


def files_in_scope() -> list[Path]:
    """The files that scope.toml names."""
    scope = tomllib.loads((HERE / "scope.toml").read_text(encoding="utf-8"))
    paths = {path for pattern in scope["documents"] + scope["code"] for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in paths if not fits(path.relative_to(ROOT).as_posix(), scope["later"]))


def passages(path: Path) -> list[Passage]:
    """The prose of a file, by its suffix."""
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".md":
            return list(_markdown(text))
        case ".py":
            return sorted([*_docstrings(text), *_python_comments(text), *_messages(text)])
        case _:
            return list(_hash_comments(text))


def banned(path: Path, name: str, known: Iterable[Rule]) -> list[str]:
    """The banned words of a file, one line each."""
    mine = [rule for rule in known if rule.applies(name)]
    return [
        f"{name}:{passage.line}: {found.group()!r}; use: {rule.instead}"
        for passage in passages(path)
        for sentence in sentences(passage.text)
        for rule in mine
        for found in rule.pattern.finditer(sentence)
    ]


def long_sentences(path: Path, name: str) -> list[str]:
    """The sentences of a file that have too many words."""
    return [
        f"{name}:{passage.line}: {words} words: {sentence}"
        for passage in passages(path)
        if passage.is_sentence
        for sentence in sentences(passage.text)
        if (words := word_count(sentence)) > LONGEST_SENTENCE
    ]


def long_lines(path: Path, name: str) -> list[str]:
    """The lines of a Markdown file that are too long, without tables, comments, code and lines with a link."""
    return [
        f"{name}:{number}: {len(line)} characters"
        for number, line in _outside_code(path.read_text(encoding="utf-8"))
        if len(line) > LONGEST_LINE
        and not line.lstrip().startswith(("|", "<!--"))
        and "](" not in line
        and "<img" not in line
    ]


def sentences(text: str) -> list[str]:
    """The sentences of a passage."""
    for abbreviation in _ABBREVIATIONS:
        text = text.replace(abbreviation, abbreviation.replace(".", "\u2024"))
    return [sentence.strip() for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def word_count(sentence: str) -> int:
    """The words of a sentence; a list of code in it counts as one word."""
    listed = re.sub(rf"\b{_CODE}\b((,| and|, and| or|, or) {_CODE}\b)+", _CODE, sentence)
    return len([word for word in listed.split() if re.search(r"\w", word)])


def _plain(text: str) -> str:
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"``[^`]+``|`[^`]+`", _CODE, text)
    text = re.sub(r"<[^>\s][^>]*>|https?://\S+", _CODE, text)
    return re.sub(r"\s+", " ", re.sub(r"\*\*|__|(?<!\w)\*|\*(?!\w)", "", text)).strip()


def _outside_code(text: str) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _markdown(text: str) -> Iterator[Passage]:
    lines: list[tuple[int, str]] = []
    last = 0
    for number, line in _outside_code(text):
        ends = not line.strip() or number > last + 1 or line.lstrip().startswith(("#", "|")) or _ENTRY.match(line)
        last = number
        if lines and ends:
            yield from _passage(lines)
            lines = []
        if line.lstrip().startswith("|"):
            yield from (Passage(number, _plain(cell), False) for cell in line.strip().strip("|").split("|"))
        elif line.lstrip().startswith("#"):
            yield Passage(number, _plain(line.lstrip("# ")), True)
        elif line.strip():
            lines.append((number, _ENTRY.sub("", line)))
    yield from _passage(lines)


def _passage(lines: list[tuple[int, str]]) -> Iterator[Passage]:
    if lines and (text := _plain(" ".join(line for _, line in lines))):
        yield Passage(lines[0][0], text, True)


def _docstrings(source: str) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            text = ast.get_docstring(node)
            if text is not None:
                yield from _docstring(text, node.body[0].lineno)


def _docstring(text: str, first: int) -> Iterator[Passage]:
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), first):
        table = line.lstrip().startswith(("|", ">>>"))
        argument = _ARGUMENT.match(line) if line.startswith(" ") else None
        if lines and (not line.strip() or table or argument or _ENTRY.match(line)):
            yield from _passage(lines)
            lines = []
        if line.strip() and not table:
            lines.append((number, _ENTRY.sub("", _ARGUMENT.sub("", line) if argument else line)))
    yield from _passage(lines)


def _python_comments(source: str) -> Iterator[Passage]:
    comments = [
        (token.start[0], token.start[1], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith(("#!", "# noqa", "# type:", "# fmt:"))
    ]
    yield from _joined(comments)


def _hash_comments(source: str) -> Iterator[Passage]:
    found = (
        (number, re.search(r"(^|\s)#(?!\s*yaml-language-server)\s*(.*)", line))
        for number, line in enumerate(source.splitlines(), 1)
    )
    yield from _joined([(number, match.start(), match.group(2)) for number, match in found if match])


def _joined(comments: list[tuple[int, int, str]]) -> Iterator[Passage]:
    """Comments of neighbouring lines that begin in the same column are one passage."""
    lines: list[tuple[int, str]] = []
    place = (0, 0)
    for number, column, text in comments:
        if (number, column) != (place[0] + 1, place[1]) or not text:
            yield from _passage(lines)
            lines = []
        place = (number, column)
        lines.append((number, text))
    yield from _passage(lines)


def _messages(source: str) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            spoken = node.args if name.endswith("Error") or name in MESSAGE_CALLS else []
            keywords = [keyword.value for keyword in node.keywords if keyword.arg in MESSAGE_KEYWORDS]
            for value in [*spoken, *keywords]:
                if text := _string(value):
                    yield Passage(value.lineno, _plain(text), True)


def _string(node: ast.expr) -> str:
    """The text of a string; each value in an f-string is one word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else _CODE for part in node.values)
    return ""
