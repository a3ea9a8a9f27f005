"""The crawl of pictures: it reads items with URLs and writes a ledger and a folder of verified pictures."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from mmsrec.crawl.crawl_run import run_crawl
from mmsrec.crawl.entry import Entry
from mmsrec.crawl.local_media import collect, file_reader
from mmsrec.crawl.media_kinds import PICTURES
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.placeholders import without_placeholders
from mmsrec.crawl.worker import MediaCrawl
from mmsrec.errors import DataError
from mmsrec.settings.crawling import ITEM_ID, PICTURE_RULES, Crawl, Vision

CONNECTIONS = 32


def media_urls(items: pa.Table, vision: Vision) -> pa.Table:
    """Returns the place of each item's picture: columns item_id and url. A null url means that there is no picture.

    Args:
        items: columns item_id and media_url.
        vision: the domain's settings. The pattern may be a URL or a path below the raw folder.
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
    """Fetches the pictures that are not in the folder yet, then writes the ledger of all items.

    Args:
        items: columns item_id and url. An item without a URL is `missing`.
        folder: receives ledger.parquet, its log, and the pictures below files/.
        policy: the rules, bounds and rates of the crawl.
        connections: largest number of simultaneous requests, over all hosts.

    Returns:
        The number of items in each state.

    Raises:
        DataError: two items have the same id.
        ArtifactError: the folder's log is damaged.
    """

    def crawler(urls: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        return MediaCrawl(policy, store).run(urls, connections)

    review = partial(without_placeholders, most_alike=policy.most_alike)
    return run_crawl(urls_by_item(items), folder, rules_of(policy), crawler, review=review)


def collect_images(items: pa.Table, folder: Path, policy: Crawl, root: Path) -> Counter[str]:
    """Copies pictures from a folder; otherwise like `crawl_images`. Each call reads all pictures again.

    Args:
        items: columns item_id and url, which is a path below `root`.
        folder: as in `crawl_images`.
        policy: as in `crawl_images`.
        root: folder of the pictures.
    """

    def crawler(paths: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        return collect(paths, file_reader(root, policy.max_bytes), policy, store, PICTURES)

    review = partial(without_placeholders, most_alike=policy.most_alike)
    return run_crawl(urls_by_item(items), folder, rules_of(policy), crawler, repeat_all=True, review=review)


def rules_of(policy: Crawl) -> str:
    """The rules that determine an item's state, as text. A setting that has its default is left out."""
    return policy.model_dump_json(include=PICTURE_RULES, exclude_defaults=True)


def urls_by_item(items: pa.Table) -> dict[str, str | None]:
    """The url of each item, or None if it is null or blank.

    Raises:
        DataError: two items have the same id.
    """
    ids = items.column("item_id")
    if repeated := len(ids) - len(pc.unique(ids)):
        raise DataError("Items share an id.", where="item_id", found=f"{repeated} repeated ids")
    urls = pc.utf8_trim_whitespace(items.column("url")).to_pylist()
    return {item: url or None for item, url in zip(ids.to_pylist(), urls, strict=True)}
