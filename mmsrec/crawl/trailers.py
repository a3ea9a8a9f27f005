"""The crawl of trailers: it opens a known page, or searches for one. It makes few requests and can resume for days."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from tenacity import Retrying, retry_if_exception, stop_after_attempt

from mmsrec.crawl.crawl_run import run_crawl
from mmsrec.crawl.entry import Entry, Rejected
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.video_pages import Blocked, VideoSite
from mmsrec.errors import CrawlError
from mmsrec.settings.crawling import TRAILER_RULES, Trailers
from mmsrec.urls import without_credentials

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def crawl_trailers(
    items: pa.Table, known: Mapping[str, str], folder: Path, trailers: Trailers, *, cookies: Path | None = None
) -> Counter[str]:
    """Fetches the trailers that are not in the folder yet, then writes the ledger of all items.

    Args:
        items: columns item_id and title.
        known: ids of trailers by item. The crawl searches by title if an item has no id or its page has no trailer.
        folder: receives ledger.parquet, its log, and the videos below files/.
        trailers: the pages, searches, bounds and pauses.
        cookies: a cookies.txt from a signed-in session.

    Returns:
        The number of items in each state.

    Raises:
        CrawlError: the site blocks the crawler again and again. The next run resumes.
        ArtifactError: the folder's log is damaged.
    """
    titles = dict(zip(items.column("item_id").to_pylist(), items.column("title").to_pylist(), strict=True))
    searches = {item: _search(title, trailers) for item, title in titles.items()}
    pages = {item: trailers.url.replace("{id}", known[item]) for item in titles if item in known}
    requests = {item: pages.get(item) or searches[item] for item in titles}

    def crawler(todo: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        with closing(VideoSite(trailers, store.partial, cookies)) as site:
            crawl = _TrailerCrawl(trailers, site)
            for item in todo:
                yield crawl.fetch(item, pages.get(item), searches[item], store)

    return run_crawl(requests, folder, trailers.model_dump_json(include=TRAILER_RULES), crawler)


def _search(title: str | None, trailers: Trailers) -> str | None:
    title = " ".join((title or "").split())
    return trailers.search.replace("{hits}", str(trailers.hits)).replace("{title}", title) if title else None


class _TrailerCrawl:
    """Makes one request at a time. The pauses double while the site blocks the crawler."""

    def __init__(self, trailers: Trailers, site: VideoSite) -> None:
        self._trailers = trailers
        self._site = site
        self._blocks = 0
        self._attempts = 0
        self._retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(trailers.attempts),
            reraise=True,
        )

    def fetch(self, item_id: str, page: str | None, search: str | None, store: Store) -> Entry:
        """Tries the known page, then the hits of the search.

        Without a trailer, the entry reports the first `failed` URL, or else the first rejected URL.
        """
        self._attempts = 0
        rejections: dict[str, Rejected] = {}
        for url in self._urls(page, search, rejections):
            try:
                file = self._retrying(self._request, self._site.fetch, url)
            except Rejected as rejected:
                rejections[url] = rejected
            else:
                return replace(store.save_file(item_id, file), url=url, attempts=self._attempts)
        if not rejections:
            return Entry(item_id, "missing")
        url = next((url for url, rejected in rejections.items() if _may_pass(rejected)), next(iter(rejections)))
        rejected = rejections[url]
        return Entry(item_id, rejected.state, url, rejected.status, attempts=self._attempts, error=rejected.reason)

    def _urls(self, page: str | None, search: str | None, rejections: dict[str, Rejected]) -> Iterator[str]:
        if page:
            yield page
        if search:
            try:
                hits = self._retrying(self._request, self._site.search, search)
            except Rejected as rejected:
                rejections[search] = rejected
            else:
                rejections |= {} if hits else {search: Rejected("dead", "no hit of the search is a trailer")}
                yield from (hit for hit in hits if hit not in rejections)

    def _request(self, request: Callable[[str], Answer], argument: str) -> Answer:
        """Makes a request after a pause, and counts the consecutive blocks."""
        # yt-dlp itself makes the usual pause, so only the additional seconds are waited here.
        pause = min(self._trailers.pause * 2**self._blocks, self._trailers.max_pause)
        time.sleep(max(0.0, pause - self._trailers.pause))
        self._attempts += 1
        try:
            answer = request(argument)
        except Rejected as rejected:
            logger.info("%s: %s", without_credentials(argument), rejected.reason)
            self._count_blocks(rejected)
            raise
        self._blocks = 0
        return answer

    def _count_blocks(self, rejected: Rejected) -> None:
        if not isinstance(rejected, Blocked):
            self._blocks = 0
            return
        self._blocks += 1
        if self._blocks >= self._trailers.max_blocks:
            raise CrawlError(
                f"The site blocks the crawler: {rejected.reason}.",
                found=f"{self._blocks} consecutive blocks, although each pause was longer than the one before",
                fix="Run the stage again in some hours: it resumes. A longer crawl.trailers.pause, another network, "
                "or --cookies with the cookies.txt of a signed-in session may help.",
            ) from rejected


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Rejected) and error.state == "failed"
