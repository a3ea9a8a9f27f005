"""Media from a folder or an archive. They pass the same checks as media from the web and get the same ledger."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

from mmsrec.crawl.entry import Entry, Rejected
from mmsrec.crawl.media_kinds import Kind
from mmsrec.crawl.media_store import Store
from mmsrec.settings.crawling import Crawl
from mmsrec.sources.archive import Members

# Returns the content of a path, or raises Rejected.
Reader = Callable[[str], bytes]


def collect(paths: Mapping[str, str | None], read: Reader, policy: Crawl, store: Store, kind: Kind) -> Iterator[Entry]:
    """Copies the media of each item and yields its entry. An item without a path or a file is `missing`."""

    def copy(item_id: str, path: str | None) -> Entry:
        if path is None:
            return Entry(item_id, "missing")
        try:
            return replace(kind.save(store, item_id, read(path), policy), url=path, attempts=1)
        except Rejected as rejected:
            return Entry(item_id, rejected.state, path, attempts=1, error=rejected.reason)

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        yield from workers.map(copy, paths, paths.values())


def file_reader(root: Path, max_bytes: int) -> Reader:
    """Returns a reader of files below `root` that have at most `max_bytes`."""

    def read(path: str) -> bytes:
        relative = Path(os.path.normpath(path))
        if relative.is_absolute() or ".." in relative.parts:
            raise Rejected("refused", "the path leaves the folder")
        try:
            with (root / relative).open("rb") as file:
                body = file.read(max_bytes + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise Rejected("missing", "there is no such file") from error
        return _bounded(body, max_bytes)

    return read


def member_reader(members: Members, max_bytes: int) -> Reader:
    """Returns a reader of an archive's members that have at most `max_bytes`."""
    one_at_a_time = Lock()

    def read(path: str) -> bytes:
        if path not in members:
            raise Rejected("missing", "there is no such member")
        with one_at_a_time, members.open(path) as member:
            return _bounded(member.read(max_bytes + 1), max_bytes)

    return read


def _bounded(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise Rejected("oversize", f"more than {max_bytes} bytes")
    return body
