"""Atomic writes, digests and locks of files. An atomic file is either whole or absent."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from mmsrec.errors import ArtifactError

_SHOWN = 200  # characters of a reason that a message quotes


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, and renames it to `path` if the block ends without an error.

    A reader sees either the old file or the new file. The temporary file is removed after an error.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
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
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, and replaces `path` by it if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
