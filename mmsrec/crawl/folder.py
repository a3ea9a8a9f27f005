"""Pictures that are already in a folder: the same checks and the same ledger as for those from the web."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mmsrec.crawl.ledger import Entry
from mmsrec.crawl.policy import Rejected
from mmsrec.crawl.store import Store
from mmsrec.media_rows import Crawl


def collect(paths: Mapping[str, str | None], root: Path, policy: Crawl, store: Store) -> Iterator[Entry]:
    """Copies each item's picture, a path below `root`, and yields its entry; a path without a file is `missing`."""

    def settle(item_id: str, path: str | None) -> Entry:
        if path is None:
            return Entry(item_id, "missing")
        try:
            body = _read(root, path, policy.max_bytes)
            return replace(store.keep_picture(item_id, body, policy.max_pixels), url=path, attempts=1)
        except Rejected as rejected:
            return Entry(item_id, rejected.state, path, attempts=1, error=rejected.reason)

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        yield from workers.map(settle, paths, paths.values())


def _read(root: Path, path: str, max_bytes: int) -> bytes:
    relative = Path(os.path.normpath(path))
    if relative.is_absolute() or ".." in relative.parts:
        raise Rejected("refused", "the path leaves the folder")
    try:
        with (root / relative).open("rb") as file:
            body = file.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise Rejected("missing", "there is no such file") from error
    if len(body) > max_bytes:
        raise Rejected("oversize", f"more than {max_bytes} bytes")
    return body
