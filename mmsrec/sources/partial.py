"""An unfinished download. It is `.NAME.part` beside the destination, and a JSON file that records its source."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from mmsrec.errors import ArtifactError
from mmsrec.files import read_json, remove_unfinished, write_json


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """The source of a partial file.

    Attributes:
        url: the requested URL.
        validator: the answer's strong ETag, or else its Last-Modified; None if it had neither.
        total: size of the whole file, in bytes; None if the server did not state it.
    """

    url: str
    validator: str | None
    total: int | None


class Partial:
    """The received part of a file. It outlives its process, so that another process can resume."""

    def __init__(self, destination: Path) -> None:
        self.destination = Path(destination)
        self.path = self.destination.with_name(f".{self.destination.name}.part")
        self._state = self.destination.with_name(f".{self.destination.name}.part.json")
        self.destination.parent.mkdir(parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        """Number of received bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def source(self, url: str) -> RemoteFile | None:
        """The source of the received bytes, or None if no bytes come from this URL."""
        if not self.size:
            return None
        try:
            source = RemoteFile(**read_json(self._state))
        except (ArtifactError, TypeError):
            return None
        return source if source.url == url else None

    @contextmanager
    def begin(self, source: RemoteFile) -> Iterator[BinaryIO]:
        """Opens an empty file for bytes from this source."""
        with self.path.open("wb") as file:
            write_json(self._state, asdict(source))
            yield file

    @contextmanager
    def resume(self) -> Iterator[BinaryIO]:
        """Opens the file to append further bytes."""
        with self.path.open("ab") as file:
            yield file

    def discard(self) -> None:
        """Deletes the received bytes."""
        self.path.unlink(missing_ok=True)
        self._forget()

    def publish(self) -> None:
        """Moves the finished file to the destination."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.destination)
        self._forget()

    def _forget(self) -> None:
        self._state.unlink(missing_ok=True)
        remove_unfinished(self._state)
