"""The lock file of a registry. The first download of a source file pins its digest, and later downloads must match it.

The lock file is a CSV table beside the registry, sorted by file, so that a team can commit it.
"""

import csv
import io
import logging
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mmsrec.errors import ArtifactError, ChecksumError, RegistryError
from mmsrec.files import lock, read_json, sha256, write_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pin:
    """One row of the lock file.

    Attributes:
        file: DATASET/FILE.
        url: where the file came from, as in its record; empty for a file that the user put there.
        sha256: its digest, 64 hexadecimal digits.
        bytes: its size.
    """

    file: str
    url: str
    sha256: str
    bytes: int

    def __str__(self) -> str:
        origin = self.url or "a file that was already there"
        return f"sha256 {self.sha256}, {self.bytes:,} bytes, pinned from {origin}"


COLUMNS = tuple(field.name for field in fields(Pin))

# Column, pattern, description of the pattern.
_CHECKS = (
    ("file", re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)+", re.ASCII), "DATASET/FILE"),
    ("sha256", re.compile(r"[0-9a-f]{64}"), "64 lower-case hexadecimal digits"),
    ("bytes", re.compile(r"0|[1-9][0-9]{0,17}"), "a number"),
)


@dataclass(frozen=True, slots=True)
class LockFile:
    """The pins of a registry.

    Attributes:
        path: the lock file. A missing file has no pins.
        accepts: whether a file replaces a pin that differs from it.
    """

    path: Path
    accepts: bool = False

    def read(self) -> dict[str, Pin]:
        """The pins by file.

        Raises:
            RegistryError: the lock file is damaged. The error names the line.
        """
        if not self.path.exists():
            return {}
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                header = next(reader, None)
                if header != list(COLUMNS):
                    raise self._damaged(1, ",".join(COLUMNS), ",".join(header or []))
                return self._pins(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._damaged(None, "a CSV table in UTF-8", error) from error

    def pin(self, new: Pin) -> None:
        """Adds a pin, or compares the file with the pin that it has. A process that pins another file waits.

        Raises:
            ChecksumError: the file differs from its pin, and `accepts` is false. The lock file keeps the pin.
            RegistryError: the lock file is damaged or cannot be written.
        """
        with lock(self.path):
            pins = self.read()
            old = pins.get(new.file)
            if old and (old.sha256, old.bytes) == (new.sha256, new.bytes):
                return
            if old and not self.accepts:
                raise ChecksumError(
                    "A file differs from its pin in the lock file.",
                    where=f"{self.path}: {new.file}",
                    expected=old,
                    found=f"sha256 {new.sha256}, {new.bytes:,} bytes",
                    fix=accepting(new.file),
                )
            self._write(pins | {new.file: new})
        logger.info("%s: %s is now %s", self.path, new.file, new)

    def _pins(self, rows: Iterable[list[str]]) -> dict[str, Pin]:
        pins: dict[str, Pin] = {}
        for line, row in enumerate(rows, 2):
            if len(row) != len(COLUMNS):
                raise self._damaged(line, f"the fields {', '.join(COLUMNS)}", ",".join(row))
            values = dict(zip(COLUMNS, row, strict=True))
            for name, pattern, expected in _CHECKS:
                if not pattern.fullmatch(values[name]):
                    raise self._damaged(line, f"{name}: {expected}", repr(values[name]))
            if values["file"] in pins:
                raise self._damaged(line, "one row for each file", f"a second row of {values['file']}")
            pins[values["file"]] = Pin(values["file"], values["url"], values["sha256"], int(values["bytes"]))
        return pins

    def _write(self, pins: dict[str, Pin]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *(astuple(pins[file]) for file in sorted(pins))])
        try:
            write_text(self.path, text.getvalue())
        except OSError as error:
            raise RegistryError(
                "The lock file cannot be written.",
                where=self.path,
                found=error,
                fix="Name another file with --lock, or copy the registry into the folder of the run.",
            ) from error

    def _damaged(self, line: int | None, expected: str, found: object) -> RegistryError:
        return RegistryError(
            "The lock file is damaged.",
            where=f"{self.path}, line {line}" if line else self.path,
            expected=expected,
            found=found,
            fix="Correct the line, or restore the file from version control.",
        )


def accepting(file: str) -> str:
    """The advice of an error about a file that differs from its pin."""
    return (
        f"If the change is right, run: python workflow/scripts/download.py --accept {file}. It pins the file that is "
        "at its place in data/raw, or else downloads it. If your own file is damaged, put the right one in its place."
    )


def check_files(pins: dict[str, Pin], raw: Path) -> int:
    """Compares the raw files that exist with their pins, and returns how many exist.

    Args:
        pins: the pins by file.
        raw: the folder that contains DATASET/FILE.

    Raises:
        ChecksumError: files differ from their pins. The error names each.
    """
    present = {file: raw / file for file in pins if (raw / file).is_file()}
    differing = [
        f"{path} ({_origin(path)}): sha256 {found}, expected {pins[file]}"
        for file, path in present.items()
        if (found := sha256(path)) != pins[file].sha256
    ]
    if differing:
        raise ChecksumError(
            "Raw files differ from their pins in the lock file.",
            where=raw,
            found="".join(f"\n    {line}" for line in differing),
            fix="Delete a downloaded file, and download it again. Put the right file in the place of your own. "
            "If the change is right, run: python workflow/scripts/download.py --accept FILE.",
        )
    return len(present)


def _origin(path: Path) -> str:
    """Who put a raw file there, from the record of its download."""
    try:
        record = read_json(path.with_name(f"{path.name}.json"))
    except ArtifactError:
        return "your own"
    return "downloaded" if isinstance(record, dict) and record.get("url") else "your own"
