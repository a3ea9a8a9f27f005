"""Media files in a folder. Their names are safe, they lie in 256 subfolders, and each file is whole or absent."""

import hashlib
import io
import os
import re
import shutil
from pathlib import Path
from typing import Self

from mmsrec.crawl import picture_check, video_formats
from mmsrec.crawl.entry import Entry, Rejected
from mmsrec.crawl.video_check import seconds_of
from mmsrec.files import sha256
from mmsrec.settings.crawling import Crawl

FILES = "files"
PARTIAL = ".partial"

_PLAIN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", re.ASCII)


def media_path(item_id: str, suffix: str) -> str:
    """The path of an item's file, relative to the crawl's folder. An unsafe item id is replaced by its digest."""
    digest = hashlib.sha256(item_id.encode()).hexdigest()
    name = item_id if _PLAIN_ID.fullmatch(item_id) else f"={digest[:32]}"
    return f"{FILES}/{digest[:2]}/{name}{suffix}"


class Store:
    """The files of one crawl. Use it as a context manager: it first removes the unfinished files of a killed run.

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

    def save_picture(self, item_id: str, body: bytes, policy: Crawl) -> Entry:
        """Verifies and writes an item's picture. The entry has no url, status and attempts yet.

        Raises:
            Rejected: the error of `picture_check.verify`.
        """
        return self._save(item_id, body, picture_check.verify(body, policy))

    def save_video(self, item_id: str, body: bytes) -> Entry:
        """Verifies and writes an item's video. The entry has no url, status and attempts yet.

        Raises:
            Rejected: `undecodable`, because no video format has these first bytes, or no frame can be decoded.
        """
        suffix = video_formats.sniff(body[: picture_check.HEAD_BYTES])
        if suffix is None:
            raise Rejected("undecodable", "the answer is not a video")
        seconds_of(io.BytesIO(body))
        return self._save(item_id, body, suffix)

    def save_file(self, item_id: str, file: Path) -> Entry:
        """Moves an item's finished file from `partial` to its place. The entry has no url, status and attempts yet."""
        path = media_path(item_id, file.suffix)
        size, digest = file.stat().st_size, sha256(file)
        file.replace(self._folder / path)
        return Entry(item_id, "ok", bytes=size, sha256=digest, path=path)

    def _save(self, item_id: str, body: bytes, suffix: str) -> Entry:
        path = media_path(item_id, suffix)
        # No two items share a name, so the name is free in the folder of unfinished files.
        temporary = f"{self.partial}/{path.rpartition('/')[2]}"
        # Each system call releases the interpreter lock. An unbuffered file makes one call, so other threads wait less.
        with open(temporary, "wb", buffering=0) as file:
            left = memoryview(body)
            # On a disk that is almost full, a call writes a part and raises nothing; the next call raises.
            while left:
                left = left[file.write(left) :]
        os.replace(temporary, f"{self._folder}/{path}")
        return Entry(item_id, "ok", bytes=len(body), sha256=hashlib.sha256(body).hexdigest(), path=path)
