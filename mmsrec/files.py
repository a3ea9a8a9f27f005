"""Atomic writes, digests and locks of files. An atomic file is either whole or absent."""

import fcntl
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from mmsrec.errors import ArtifactError

_SHOWN = 200  # characters of a reason that a message quotes


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, and renames it to `path` if the block ends without an error.

    A reader sees either the old file or the new file. The temporary file is removed after an error, and so
    are those that a killed process left for the same path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path)
    handle, temporary = _claimed(lambda: tempfile.mkstemp(**_names(path)))
    try:
        yield temporary
        # mkstemp makes the file private. The final file gets the usual permissions, from the umask.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, and replaces `path` by it if the block ends without an error.

    A reader sees the old folder, no folder for a moment, or the new folder, but never a part of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path)
    handle, home = _claimed(lambda: _opened(tempfile.mkdtemp(**_names(path))))
    try:
        temporary = home / "new"
        temporary.mkdir()
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            path.replace(home / "old")
        temporary.replace(path)
    finally:
        os.close(handle)
        shutil.rmtree(home, ignore_errors=True)


def remove_unfinished(path: Path) -> None:
    """Removes the temporary files and folders of `path` that a killed process left. Those of a live one are locked."""
    names = _names(path)
    with suppress(FileNotFoundError), os.scandir(names["dir"]) as entries:
        left = [entry for entry in entries if entry.name.startswith(names["prefix"])]
        for entry in left:
            if entry.name.endswith(names["suffix"]):
                _remove_unlocked(Path(entry.path))


def _names(path: Path) -> dict[str, str]:
    """How the temporary files of a path are named, as `tempfile` asks for it."""
    return {"prefix": f".{path.name}.", "suffix": ".tmp", "dir": str(path.parent)}


def _opened(folder: str) -> tuple[int, str]:
    return os.open(folder, os.O_RDONLY), folder


def _claimed(make: Callable[[], tuple[int, str]]) -> tuple[int, Path]:
    """A new temporary file or folder with its open descriptor, which holds a lock on it."""
    while True:
        handle, name = make()
        with suppress(OSError):  # some network file systems have no such locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have taken it for a leftover before it was locked.
        if os.path.exists(name):
            return handle, Path(name)
        os.close(handle)


def _remove_unlocked(path: Path) -> None:
    """Removes a temporary file or folder, unless a process holds its lock or the system knows no such locks."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        pass
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Writes `value` as indented JSON with sorted keys, atomically.

    Raises:
        ArtifactError: a number is NaN or an infinity, which JSON cannot write.
    """
    try:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ArtifactError(
            "A result has a number that is not finite, and is not written.",
            where=path,
            expected="finite numbers",
            found=next(_not_finite(value, ""), str(error)),
        ) from error
    write_text(path, text + "\n")


def _not_finite(value: object, key: str) -> Iterator[str]:
    """The keys of numbers that JSON cannot write, each with its value."""
    match value:
        case float() if not math.isfinite(value):
            yield f"{key.removeprefix('.')}: {value}"
        case dict():
            for name, part in value.items():
                yield from _not_finite(part, f"{key}.{name}")
        case list() | tuple():
            for number, part in enumerate(value):
                yield from _not_finite(part, f"{key}.{number}")


def read_json(path: Path) -> object:
    """Reads a JSON file.

    Raises:
        ArtifactError: the file is missing or is not JSON. NaN and infinities are not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except FileNotFoundError as error:
        raise ArtifactError("A file is missing.", where=path, fix="Run the stage that writes it.") from error
    except (ValueError, RecursionError) as error:
        # A deep nesting of brackets is a RecursionError, a number of many thousand digits a ValueError.
        raise ArtifactError(
            "A file is not JSON.",
            where=path,
            found=str(error)[:_SHOWN],
            fix="Correct it if you wrote it. Else delete it and run the stage that writes it.",
        ) from error


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds a lock for `path` between processes. A second process waits.

    The lock file lies in the system's temporary folder, so that no workflow engine mistakes it for an output.
    """
    digest = hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"mmsrec-locks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / f"{digest}.lock"):
        yield
