"""Zip archives from the web: member names are safe, sizes are bounded, and damage is an error.

The code is our own because zipfile alone checks neither links, repeated paths nor the total size.
"""

import io
import lzma
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mmsrec.errors import ArchiveError

MAX_BYTES = 64 * 2**30

# The errors that zipfile raises on damage. NotImplementedError means an unknown compression or zip version.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)
_DRIVE = re.compile(r"^[A-Za-z]:")


@contextmanager
def open_member(archive: Path, name: str, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
    """Opens one member for reading and does not unpack the others.

    Args:
        archive: the zip file.
        name: path of the member.
        max_bytes: largest unpacked size of all members together.

    Raises:
        ArchiveError: the archive is damaged, unsafe or too large, or has no such member. A read of a damaged member
            raises it, too.
    """
    with _open(archive, max_bytes) as opened:
        if name not in opened.namelist():
            raise ArchiveError(
                "An archive lacks a member.", where=archive, expected=name, found=", ".join(opened.namelist()[:20])
            )
        with _read(opened, opened.getinfo(name)) as member:
            yield member


class Members:
    """The members of an open archive, by name."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self._names = frozenset(opened.namelist())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Opens an existing member. If the member is damaged, this or a later read raises ArchiveError."""
        return _read(self._opened, self._opened.getinfo(name))


@contextmanager
def open_members(archive: Path, max_bytes: int = MAX_BYTES) -> Iterator[Members]:
    """Opens an archive for reading many members. It has the arguments and errors of `open_member`."""
    with _open(archive, max_bytes) as opened:
        yield Members(opened)


@contextmanager
def _open(archive: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(archive)
    except FileNotFoundError as error:
        raise ArchiveError("An archive is missing.", where=archive, fix="Run the stage that downloads it.") from error
    except _DAMAGE as error:
        raise ArchiveError(
            "A file is damaged or no zip archive.",
            where=archive,
            found=error,
            fix="If it was downloaded, delete it and run the stage that downloads it. Else pack it again.",
        ) from error
    with opened:
        _check_members(archive, opened.infolist(), max_bytes)
        yield opened


def _check_members(archive: Path, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    for info in members:
        if reason := _unsafe(info):
            raise ArchiveError(
                "A member of an archive is not safe.",
                where=f"{archive}: {info.filename!r}",
                expected="files and folders with relative paths",
                found=reason,
                fix="Do not use this archive. Download it from its original source.",
            )
    counts = Counter(PurePosixPath(info.filename) for info in members)
    files = {PurePosixPath(info.filename) for info in members if not info.is_dir()}
    for name, count in counts.items():
        if count > 1 or not files.isdisjoint(name.parents):
            raise ArchiveError("Two members of an archive share a path.", where=f"{archive}: {str(name)!r}")
    # zipfile reads no more than this size, so a member that is longer fails its checksum.
    if (total := sum(info.file_size for info in members)) > max_bytes:
        raise ArchiveError(
            "An archive is too large.",
            where=archive,
            expected=f"at most {max_bytes:,} bytes",
            found=f"{total:,} bytes",
        )


def _unsafe(info: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    checks = {
        "an empty name": not path.parts,
        "an absolute path": path.is_absolute(),
        "a path with '..'": ".." in path.parts,
        "a Windows drive": _DRIVE.match(info.filename) is not None,
        "a path with a backslash": "\\" in info.filename,
        "a link or a device": kind not in (0, stat.S_IFREG, stat.S_IFDIR),
        "an encrypted file": bool(info.flag_bits & 0x1),
    }
    return next((reason for reason, applies in checks.items() if applies), None)


@contextmanager
def _read(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[BinaryIO]:
    where = f"{opened.filename}: {info.filename!r}"
    try:
        member = opened.open(info)
    except _DAMAGE as error:
        raise ArchiveError("A member of an archive is damaged.", where=where, found=error) from error
    with io.BufferedReader(_Member(member, where), 1 << 20) as reader:
        yield reader


class _Member(io.RawIOBase):
    """A member whose errors name it."""

    def __init__(self, member: BinaryIO, where: str) -> None:
        self._member = member
        self._where = where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        try:
            data = self._member.read(len(buffer))
        except _DAMAGE as error:
            raise ArchiveError("A member of an archive is damaged.", where=self._where, found=error) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._member.close()
        super().close()
