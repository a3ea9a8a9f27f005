"""Zip archives from elsewhere: no member leaves its folder, outgrows its bound or is read past damage."""

import io
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mmsrec.errors import ArchiveError
from mmsrec.files import atomic_folder

MAX_BYTES = 64 * 2**30

# What zipfile raises on damage; NotImplementedError stands for a compression or a zip version that it does not know.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)
_DRIVE = re.compile(r"^[A-Za-z]:")


@contextmanager
def open_member(archive: Path, name: str, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
    """Opens one member for reading, without unpacking the rest.

    Args:
        max_bytes: bound of all members together, once unpacked.

    Raises:
        ArchiveError: the archive is damaged, unsafe or too large, or has no such member; also while reading, where
            the member is damaged.
    """
    with _open(archive, max_bytes) as opened:
        if name not in opened.namelist():
            raise ArchiveError(
                "An archive lacks a member.", where=archive, expected=name, found=", ".join(opened.namelist()[:20])
            )
        with _read(opened, opened.getinfo(name)) as member:
            yield member


class Members:
    """The members of an open archive, to be read by name."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self._names = frozenset(opened.namelist())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Opens a member that is there; raises ArchiveError, also while it is read, where it is damaged."""
        return _read(self._opened, self._opened.getinfo(name))


@contextmanager
def open_members(archive: Path, max_bytes: int = MAX_BYTES) -> Iterator[Members]:
    """Opens an archive for reading many of its members; arguments and errors as in `open_member`."""
    with _open(archive, max_bytes) as opened:
        yield Members(opened)


def extract(archive: Path, folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpacks a whole archive into `folder`, which takes the place of what was there, or is left as it was on error.

    Args:
        max_bytes: bound of all members together, once unpacked.

    Raises:
        ArchiveError: the archive is damaged, would write outside `folder`, or holds more than `max_bytes`.
    """
    with _open(archive, max_bytes) as opened, atomic_folder(folder) as temporary:
        for info in opened.infolist():
            target = temporary / info.filename
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with _read(opened, info) as member, target.open("xb") as file:
                shutil.copyfileobj(member, file, 1 << 20)


@contextmanager
def _open(archive: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(archive)
    except FileNotFoundError as error:
        raise ArchiveError("An archive is missing.", where=archive, fix="Run the stage that downloads it.") from error
    except _DAMAGE as error:
        raise ArchiveError(
            "An archive is damaged or no zip archive.", where=archive, found=error, fix="Delete it and download again."
        ) from error
    with opened:
        _check_members(archive, opened.infolist(), max_bytes)
        yield opened


def _check_members(archive: Path, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    for info in members:
        if reason := _unsafe(info):
            raise ArchiveError(
                "A member of an archive is not safe to unpack.",
                where=f"{archive}: {info.filename!r}",
                expected="files and folders below the target folder",
                found=reason,
                fix="Do not trust this archive; fetch it from its own source.",
            )
    counts = Counter(PurePosixPath(info.filename) for info in members)
    files = {PurePosixPath(info.filename) for info in members if not info.is_dir()}
    for name, count in counts.items():
        if count > 1 or not files.isdisjoint(name.parents):
            raise ArchiveError("Two members of an archive share a path.", where=f"{archive}: {str(name)!r}")
    # A member that is longer than its entry says cannot pass: zipfile stops there and finds the checksum wrong.
    if (total := sum(info.file_size for info in members)) > max_bytes:
        raise ArchiveError(
            "An archive is too large to unpack.",
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
    """A member that names itself when it is damaged."""

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
