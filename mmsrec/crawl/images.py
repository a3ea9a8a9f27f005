"""The crawl of pictures: items with URLs in, a ledger and a folder of verified pictures out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from mmsrec.crawl.crawl_run import settle_all
from mmsrec.crawl.local_media import collect, file_reader
from mmsrec.crawl.media_kinds import PICTURES
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.outcome import Entry
from mmsrec.crawl.worker import MediaCrawl
from mmsrec.errors import DataError
from mmsrec.settings.crawling import ITEM_ID, PICTURE_RULES, Crawl, Vision

CONNECTIONS = 32


def media_urls(items: pa.Table, vision: Vision) -> pa.Table:
    """Where each item's picture is: columns item_id and url, the latter null for none.

    Args:
        items: columns item_id and media_url.
        vision: the domain's row; its pattern may be a URL or a path below the raw folder.
    """
    if vision.pattern is None:
        return items.select(["item_id", "media_url"]).rename_columns(["item_id", "url"])
    quoted = (lambda item: quote(item, safe="")) if is_web(vision) else str
    urls = [vision.pattern.replace(ITEM_ID, quoted(item)) for item in items.column("item_id").to_pylist()]
    return pa.table({"item_id": items.column("item_id"), "url": pa.array(urls, pa.string())})


def is_web(vision: Vision) -> bool:
    """Whether a domain's pictures come from the web, not from a folder."""
    return vision.pattern is None or "://" in vision.pattern


def crawl_images(items: pa.Table, folder: Path, policy: Crawl, *, connections: int = CONNECTIONS) -> Counter[str]:
    """Fetches every item's picture that is not there yet and seals the ledger.

    Args:
        items: columns item_id and url; an item without a URL is `missing`.
        folder: gets ledger.parquet, the log it is sealed from, and the pictures below files/.
        policy: what is asked for, how fast, and what is respected.
        connections: requests at a time, over all hosts.

    Returns:
        The number of items in each state.

    Raises:
        DataError: two items have the same id.
        ArtifactError: the folder's log is damaged.
    """

    def settle(urls: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        return MediaCrawl(policy, store).run(urls, connections)

    return settle_all(wanted_urls(items), folder, policy.model_dump_json(include=PICTURE_RULES), settle)


def collect_images(items: pa.Table, folder: Path, policy: Crawl, root: Path) -> Counter[str]:
    """Does as `crawl_images` with pictures in a folder: `url` is a path below `root`. All are read anew each time."""

    def settle(paths: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        return collect(paths, file_reader(root, policy.max_bytes), policy, store, PICTURES)

    return settle_all(wanted_urls(items), folder, policy.model_dump_json(include=PICTURE_RULES), settle, anew=True)


def wanted_urls(items: pa.Table) -> dict[str, str | None]:
    """The url of each item; None where it is null or blank. Errors as in `crawl_images`."""
    ids = items.column("item_id")
    if repeated := len(ids) - len(pc.unique(ids)):
        raise DataError("Items share an id.", where="item_id", found=f"{repeated} repeated ids")
    urls = pc.utf8_trim_whitespace(items.column("url")).to_pylist()
    return {item: url or None for item, url in zip(ids.to_pylist(), urls, strict=True)}
