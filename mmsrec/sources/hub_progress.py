"""The progress of a download from the hub: all files share one bar, which also stops those under way."""

from typing import Any

from tqdm import tqdm

from mmsrec.errors import ChecksumError
from mmsrec.sources.listing import Shard


class Stopped(Exception):
    """The download ends before this file is whole: another file failed, or the user stopped it."""


class Total:
    """The progress bar of all files, through which a file that is under way learns that the download ends."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar
        self.stopped = False

    def update(self, n: float | None) -> None:
        if self.stopped:
            raise Stopped
        self._bar.update(n)


class Meter(tqdm):
    """Adds a file's bytes to the common progress bar, and stops a server that sends more than it announced."""

    def __init__(self, bar: Total, shard: Shard, **_: Any) -> None:
        super().__init__(disable=True)
        self._bar = bar
        self._shard = shard
        self._received = 0

    def update(self, n: float | None = 1) -> None:
        self._received += n or 0
        self._bar.update(n)
        if self._received > self._shard.bytes:
            raise ChecksumError(
                "The hub sends more bytes of a file than it lists.",
                where=self._shard.path,
                expected=f"{self._shard.bytes:,} bytes",
                found=f"{self._received:,} bytes and more",
            )
