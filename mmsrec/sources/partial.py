"""A download under way: `.NAME.part` beside the destination, and a small JSON file that says whose bytes they are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from mmsrec.errors import ArtifactError
from mmsrec.files import read_json, write_json


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a partial file come from.

    Attributes:
        url: the address that was asked for.
        validator: the answer's strong ETag, else its Last-Modified; None where it had neither.
        total: bytes of the whole file; None where the server did not say.
    """

    url: str
    validator: str | None
    total: int | None


class Partial:
    """The part of a file that is here already. It outlives its process, so that another can go on."""

    def __init__(self, destination: Path) -> None:
        self.destination = Path(destination)
        self.path = self.destination.with_name(f".{self.destination.name}.part")
        self._state = self.destination.with_name(f".{self.destination.name}.part.json")
        self.destination.parent.mkdir(parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self, url: str) -> Origin | None:
        """What is known of the bytes here, or None where there are none of this URL."""
        if not self.size:
            return None
        try:
            origin = Origin(**read_json(self._state))
        except (ArtifactError, TypeError):
            return None
        return origin if origin.url == url else None

    @contextmanager
    def begin(self, origin: Origin) -> Iterator[BinaryIO]:
        """An empty file for bytes of this origin."""
        with self.path.open("wb") as file:
            write_json(self._state, asdict(origin))
            yield file

    @contextmanager
    def resume(self) -> Iterator[BinaryIO]:
        """The file, for the bytes that follow."""
        with self.path.open("ab") as file:
            yield file

    def discard(self) -> None:
        """Forgets what is here."""
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def publish(self) -> None:
        """Gives the finished file its name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.destination)
        self._state.unlink(missing_ok=True)
