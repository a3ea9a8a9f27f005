"""The registry of source files: the URLs, the digest and the size of each file."""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from mmsrec.errors import RegistryError
from mmsrec.settings.corpora import split_archive

COLUMNS = ("dataset", "file", "url", "sha256", "bytes", "licence", "note")

# The digest of a file that differs with each place where it is made. It is neither checked nor pinned.
VARIES = "varies"

Fact = TypeVar("Fact", str | None, int | None)

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
# Column, pattern, description of the pattern.
_CHECKS = (
    ("dataset", re.compile(_NAME), "a name of letters, digits, '_', '-' and '.'"),
    ("file", re.compile(rf"{_NAME}(/{_NAME}){{0,7}}"), "names of letters, digits, '_', '-' and '.', joined by '/'"),
    (
        "url",
        re.compile(rf"(https?://[^\s/@]+/\S+|{_NAME}(/{_NAME}){{0,7}}\.zip(/{_NAME}){{1,8}})?"),
        "http(s)://HOST/PATH without credentials, DATASET/ARCHIVE.zip/MEMBER, or nothing",
    ),
    (
        "sha256",
        re.compile(rf"([0-9a-f]{{64}}|{VARIES})?"),
        f"64 lower-case hexadecimal digits, {VARIES}, or nothing",
    ),
    ("bytes", re.compile(r"([1-9][0-9]{0,17})?"), "a number above 0, or nothing"),
)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the registry: one URL of a file.

    Attributes:
        dataset: folder of the file, below data/raw and below a mirror.
        file: name of the file in that folder.
        url: http or https URL, or the member of an archive of the registry; None if only a mirror has the file.
        sha256: 64 hexadecimal digits; None if unknown; `VARIES`.
        bytes: size of the file; None if unknown.
        licence: terms of use.
        note: further remarks.
    """

    dataset: str
    file: str
    url: str | None
    sha256: str | None
    bytes: int | None
    licence: str
    note: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the registry.

    Attributes:
        path: DATASET/FILE.
        urls: its URLs, in the order in which they are tried.
        sha256: 64 hexadecimal digits; None if unknown.
        bytes: size; None if unknown.
        note: remarks of its first row, such as the release.
        varies: whether the content differs with each place where it is made, so that it has no digest.
        archive: an archive of the registry that holds the file; None if there is none.
        member: path of the file in that archive.
    """

    path: str
    urls: tuple[str, ...] = ()
    sha256: str | None = None
    bytes: int | None = None
    note: str = ""
    varies: bool = False
    archive: "SourceFile | None" = None
    member: str = ""


def read_registry(path: Path) -> dict[str, SourceFile]:
    """Reads the registry. The result maps DATASET/FILE to the file; rows of the same file join their URLs in order.

    Raises:
        RegistryError: a row is not valid. The error names its line.
    """
    files: dict[str, SourceFile] = {}
    members: dict[str, tuple[str, str]] = {}
    for line, row in _rows(path):
        key, where = f"{row.dataset}/{row.file}", f"{path}, line {line}"
        known = files.get(key, SourceFile(key, note=row.note))
        varies = row.sha256 == VARIES
        files[key] = replace(
            known,
            urls=known.urls + ((row.url,) if row.url and "://" in row.url else ()),
            sha256=_agreed("sha256", known.sha256, None if varies else row.sha256, where),
            bytes=_agreed("bytes", known.bytes, row.bytes, where),
            varies=known.varies or varies,
        )
        if row.url and "://" not in row.url:
            members[key] = (row.url, where)
    return files | {key: _member(files, members, key) for key in members}


def _member(files: dict[str, SourceFile], members: dict[str, tuple[str, str]], key: str) -> SourceFile:
    """The file with the archive that holds it."""
    url, where = members[key]
    archive, member = split_archive(url)
    if archive not in files or archive in members or archive.rpartition("/")[0] != key.rpartition("/")[0]:
        raise RegistryError(
            "An archive cannot be used.",
            where=where,
            expected="an archive with its own row, in the folder of the file, and no member of another archive",
            found=archive,
            fix="Add a row for the archive, or correct the url.",
        )
    return replace(files[key], archive=files[archive], member=member)


def find(files: dict[str, SourceFile], name: str) -> SourceFile:
    """Returns the file with this path.

    Raises:
        RegistryError: the registry has no such file.
    """
    if name not in files:
        raise RegistryError(
            "The registry does not know this file.",
            where=name,
            expected=f"one of {', '.join(sorted(files))}",
            fix="Add a row for it. Leave its url empty if only a mirror has it.",
        )
    return files[name]


def _rows(path: Path) -> list[tuple[int, SourceRow]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(path, reader.fieldnames)
            return [(reader.line_num, _row(raw, f"{path}, line {reader.line_num}")) for raw in reader]
    except FileNotFoundError as error:
        raise RegistryError("The registry of source files is missing.", where=path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise RegistryError("The registry of source files is not a CSV file.", where=path, found=error) from error


def _check_header(path: Path, found: list[str] | None) -> None:
    if list(found or ()) != list(COLUMNS):
        raise RegistryError(
            "The registry has wrong columns.",
            where=f"{path}, line 1",
            expected=",".join(COLUMNS),
            found=",".join(found or ()),
        )


def _row(raw: dict[str | None, str | None], where: str) -> SourceRow:
    if None in raw or None in raw.values():
        raise RegistryError("A row has too few or too many fields.", where=where, expected=f"{len(COLUMNS)} fields")
    row = {name: value.strip() for name, value in raw.items()}
    for name, pattern, expected in _CHECKS:
        if not pattern.fullmatch(row[name]):
            raise RegistryError(f"A {name} is not valid.", where=where, expected=expected, found=repr(row[name]))
    return SourceRow(
        dataset=row["dataset"],
        file=row["file"],
        url=row["url"] or None,
        sha256=row["sha256"] or None,
        bytes=int(row["bytes"]) if row["bytes"] else None,
        licence=row["licence"],
        note=row["note"],
    )


def _agreed(name: str, known: Fact, new: Fact, where: str) -> Fact:
    if known is not None and new is not None and known != new:
        raise RegistryError(
            f"Two rows of one file differ in {name}.",
            where=where,
            expected=known,
            found=new,
            fix="Correct one row.",
        )
    return new if known is None else known
