"""Keeps partial results next to an output, so that a killed run resumes with the same result."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsrec.files import lock


class Parts:
    """Numbered files in a hidden folder beside an output. Files with another identity are deleted."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder = folder
        self._suffix = suffix

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self._folder / f"{number:06d}{self._suffix}"

    def missing(self, count: int) -> list[int]:
        """The numbers from 0 to count - 1 whose part does not exist."""
        return [number for number in range(count) if not self.path(number).exists()]


@contextmanager
def parts_of(output: Path, identity: object, suffix: str) -> Iterator[Parts]:
    """Yields the parts of an output and removes them when the block ends without an error.

    Args:
        output: the file that is made from the parts; a lock keeps other processes away.
        identity: everything that the parts depend on, as JSON values.
        suffix: suffix of a part's file name.
    """
    output = Path(output)
    home = output.parent / f".{output.name}.parts"
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    with lock(output):
        if home.exists():
            for other in home.iterdir():
                if other.name != digest:
                    shutil.rmtree(other)
        yield Parts(home / digest, suffix)
        shutil.rmtree(home, ignore_errors=True)
