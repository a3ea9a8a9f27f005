"""Notices raw files that were replaced, also by a file with an older time.

Snakemake compares times alone. So a note keeps the size, the time and the identity of each raw file. If they change,
the digest tells whether the content has changed. What was made from the old content then gets a time before the new
file's, and is made again. The raw files themselves stay as they are.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
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
        sha256: its digest; None until its size, time or number changes for the first time and no record has it.
    """

    bytes: int
    modified: int
    inode: int
    sha256: str | None

    def is_same_file(self, other: "_Seen") -> bool:
        return (self.bytes, self.modified, self.inode) == (other.bytes, other.modified, other.inode)


def replaced_files(made: Mapping[Path, Iterable[Path]], note: Path) -> list[Path]:
    """The raw files whose content has changed since the last call. What is made from them becomes older than they are.

    A call costs one look at each file's size and time. Only a file whose size or time has changed is read.

    Args:
        made: the files that are made from each raw file; missing ones are left out.
        note: file that keeps what was seen. A file that was never seen counts as unchanged.

    Raises:
        OSError: the note, or the time of a made file, cannot be written.
    """
    before = _read(note)
    seen = {file: _look(file) for file in made if file.is_file()}
    changed = []
    for file, now in seen.items():
        old = before.get(str(file))
        if old is None:
            seen[file] = replace(now, sha256=_recorded(file, now.bytes))
        elif old.is_same_file(now):
            seen[file] = old
        else:
            seen[file] = replace(now, sha256=sha256(file))
            if seen[file].sha256 != old.sha256 or seen[file].bytes != old.bytes:
                changed.append(file)
                _make_older(made[file], now.modified)
    after = before | {str(file): state for file, state in seen.items()}
    if after != before:
        write_json(note, {file: asdict(state) for file, state in after.items()})
    return changed


def _look(file: Path) -> _Seen:
    state = file.stat()
    return _Seen(state.st_size, state.st_mtime_ns, state.st_ino, None)


def _recorded(file: Path, size: int) -> str | None:
    """The digest that the download of a file has recorded, if the file still has its size."""
    try:
        record = read_json(file.with_name(f"{file.name}.json"))
        return record["sha256"] if record["bytes"] == size else None
    except (ArtifactError, KeyError, TypeError, OSError):
        return None


def _read(note: Path) -> dict[str, _Seen]:
    """What was seen last; nothing, if the note is missing or damaged."""
    try:
        return {file: _Seen(**state) for file, state in read_json(note).items()}
    except (ArtifactError, TypeError, AttributeError):
        return {}


def _make_older(files: Iterable[Path], than: int) -> None:
    for file in filter(Path.is_file, files):
        state = file.stat()
        if state.st_mtime_ns >= than - _SECOND:
            os.utime(file, ns=(state.st_atime_ns, than - _SECOND))
