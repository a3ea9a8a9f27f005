"""Media files in a folder: named after checked item ids, spread over 256 folders, whole or absent."""

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Self

from mmsrec.crawl import picture_check, video_formats
from mmsrec.crawl.outcome import Entry, Rejected
from mmsrec.files import sha256

FILES = "files"
PARTIAL = ".partial"

_PLAIN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", re.ASCII)


def media_path(item_id: str, suffix: str) -> str:
    """The path of an item's file below its crawl's folder; an id that is no safe file name gives way to its digest."""
    digest = hashlib.sha256(item_id.encode()).hexdigest()
    name = item_id if _PLAIN_ID.fullmatch(item_id) else f"={digest[:32]}"
    return f"{FILES}/{digest[:2]}/{name}{suffix}"


class Store:
    """The files of one crawl, as a context manager; what a killed run left unfinished is removed at the start.

    Args:
        folder: the crawl's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.partial = folder / PARTIAL

    def __enter__(self) -> Self:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        for shard in range(256):
            (self._folder / FILES / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)

    def keep_picture(self, item_id: str, body: bytes, max_pixels: int) -> Entry:
        """Verifies and writes an item's picture; its entry then lacks only where it came from.

        Raises:
            Rejected: undecodable, as `verify` says.
        """
        return self._keep(item_id, body, picture_check.verify(body, max_pixels))

    def keep_video(self, item_id: str, body: bytes) -> Entry:
        """Writes an item's video; its entry then lacks only where it came from.

        Raises:
            Rejected: undecodable, because it does not start as a video does.
        """
        suffix = video_formats.sniff(body[: picture_check.HEAD_BYTES])
        if suffix is None:
            raise Rejected("undecodable", "the answer is not a video")
        return self._keep(item_id, body, suffix)

    def _keep(self, item_id: str, body: bytes, suffix: str) -> Entry:
        path = media_path(item_id, suffix)
        # The name has no folder part, and no two items share it: it is free among the unfinished files.
        temporary = f"{self.partial}/{path.rpartition('/')[2]}"
        # Unbuffered: each system call lets go of the interpreter lock, and many threads wait for it.
        with open(temporary, "wb", buffering=0) as file:
            file.write(body)
        os.replace(temporary, f"{self._folder}/{path}")
        return Entry(item_id, "ok", bytes=len(body), sha256=hashlib.sha256(body).hexdigest(), path=path)

    def keep_file(self, item_id: str, file: Path) -> Entry:
        """Moves an item's finished file, which lies below `partial`, to its place."""
        path = media_path(item_id, file.suffix)
        size, digest = file.stat().st_size, sha256(file)
        file.replace(self._folder / path)
        return Entry(item_id, "ok", bytes=size, sha256=digest, path=path)
