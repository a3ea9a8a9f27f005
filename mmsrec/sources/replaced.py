"""Notices raw files that were replaced, also by a file with an older time.

Snakemake compares times alone. So a note keeps the size, the time and the identity of each raw file. If they change,
the digest tells whether the content has changed. The files made from the old content then get a time before the new
file's, and are made again. The raw files themselves stay as they are.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mmsrec.errors import ArtifactError
from mmsrec.files import read_json, sha256, write_json

_SECOND = 10**9  # nanoseconds


@dataclass(frozen=True, slots=True)
class _Seen:
    """A raw file as it was seen last.

    Attributes:
        bytes: its size.
        modified: its time, in nanoseconds since 1970.
        inode: its number on the disk, which a file that takes its place does not share.
        sha256: its digest.
    """

    bytes: int
    modified: int
    inode: int
    sha256: str

    def is_of(self, state: os.stat_result) -> bool:
        return (self.bytes, self.modified, self.inode) == (state.st_size, state.st_mtime_ns, state.st_ino)


def replaced_files(made: Mapping[Path, Iterable[Path]], note: Path) -> list[Path]:
    """The raw files whose content has changed since the last call. Files made from them become older than they are.

    A call costs one look at each file's size and time. Only a new file, or one of another size or time, is read.

    Args:
        made: the files that are made from each raw file; missing ones are left out.
        note: file that keeps what was seen. A file that was never seen counts as unchanged.

    Raises:
        OSError: the note, or the time of a made file, cannot be written.
    """
    before = _read(note)
    after, changed = dict(before), []
    for file in filter(Path.is_file, made):
        old, state = before.get(str(file)), file.stat()
        if old and old.is_of(state):
            continue
        # The download of a file has recorded its digest, so that a large file is not read again at first sight.
        digest = (None if old else _recorded(file, state.st_size)) or sha256(file)
        after[str(file)] = _Seen(state.st_size, state.st_mtime_ns, state.st_ino, digest)
        if old and old.sha256 != digest:
            changed.append(file)
            _make_older(made[file], state.st_mtime_ns)
    if after != before:
        write_json(note, {file: asdict(seen) for file, seen in after.items()})
    return changed


def _recorded(file: Path, size: int) -> str | None:
    """The digest that the download of a file has recorded, if the file still has its size."""
    try:
        record = read_json(file.with_name(f"{file.name}.json"))
        return record["sha256"] if record["bytes"] == size else None
    except (ArtifactError, KeyError, TypeError, OSError):
        return None


def _read(note: Path) -> dict[str, _Seen]:
    """The files as they were seen last; nothing, if the note is missing or damaged."""
    try:
        return {file: _Seen(**state) for file, state in read_json(note).items()}
    except (ArtifactError, TypeError, AttributeError):
        return {}


def _make_older(files: Iterable[Path], than: int) -> None:
    for file in filter(Path.is_file, files):
        state = file.stat()
        if state.st_mtime_ns >= than - _SECOND:
            os.utime(file, ns=(state.st_atime_ns, than - _SECOND))
