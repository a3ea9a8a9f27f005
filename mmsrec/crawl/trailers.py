"""The crawl of trailers: a known page first, else a search; slow on purpose, and able to go on over days."""

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from mmsrec.crawl.crawl_run import settle_all
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.outcome import Entry, Rejected
from mmsrec.crawl.video_pages import Pages, Throttled
from mmsrec.errors import CrawlError
from mmsrec.settings.crawling import TRAILER_RULES, Trailers

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def crawl_trailers(
    items: pa.Table, known: Mapping[str, str], folder: Path, trailers: Trailers, *, cookies: Path | None = None
) -> Counter[str]:
    """Fetches every item's trailer that is not there yet and seals the ledger.

    Args:
        items: columns item_id and title.
        known: ids of trailers by item; an item without, or whose trailer is gone, is searched for by its title.
        folder: gets ledger.parquet, the log it is sealed from, and the videos below files/.
        trailers: where trailers are, their bounds, and the pauses.
        cookies: a cookies.txt of a signed-in session.

    Returns:
        The number of items in each state.

    Raises:
        CrawlError: the site sends crawlers away again and again; the next run goes on from here.
        ArtifactError: the folder's log is damaged.
    """
    titles = dict(zip(items.column("item_id").to_pylist(), items.column("title").to_pylist(), strict=True))
    searches = {item: _search(title, trailers) for item, title in titles.items()}
    pages = {item: trailers.url.replace("{id}", known[item]) for item in titles if item in known}
    wanted = {item: pages.get(item) or searches[item] for item in titles}

    def settle(asked: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        with closing(Pages(trailers, store.partial, cookies)) as site:
            crawl = _TrailerCrawl(trailers, site)
            for item in asked:
                yield crawl.settle(item, pages.get(item), searches[item], store)

    return settle_all(wanted, folder, trailers.model_dump_json(include=TRAILER_RULES), settle)


def _search(title: str | None, trailers: Trailers) -> str | None:
    title = " ".join((title or "").split())
    return trailers.search.replace("{hits}", str(trailers.hits)).replace("{title}", title) if title else None


class _TrailerCrawl:
    """One request at a time, and longer pauses than the site's own while it sends crawlers away."""

    def __init__(self, trailers: Trailers, site: Pages) -> None:
        self._trailers = trailers
        self._site = site
        self._walls = 0
        self._attempts = 0

    def settle(self, item_id: str, page: str | None, search: str | None, store: Store) -> Entry:
        """Tries the known page, then the hits of the search. A failure that may pass outweighs the first rejection."""
        self._attempts = 0
        rejections: dict[str, Rejected] = {}
        for url in self._places(page, search, rejections):
            try:
                file = self._patiently(self._site.fetch, url)
            except Rejected as rejected:
                rejections[url] = rejected
            else:
                return replace(store.keep_file(item_id, file), url=url, attempts=self._attempts)
        if not rejections:
            return Entry(item_id, "missing")
        url = next((url for url, rejected in rejections.items() if rejected.state == "failed"), next(iter(rejections)))
        rejected = rejections[url]
        return Entry(item_id, rejected.state, url, rejected.status, attempts=self._attempts, error=rejected.reason)

    def _places(self, page: str | None, search: str | None, rejections: dict[str, Rejected]) -> Iterator[str]:
        if page:
            yield page
        if search:
            try:
                hits = self._patiently(self._site.search, search)
            except Rejected as rejected:
                rejections[search] = rejected
            else:
                rejections |= {} if hits else {search: Rejected("dead", "no hit of the search is a trailer")}
                yield from (hit for hit in hits if hit not in rejections)

    def _patiently(self, request: Callable[[str], Answer], asked: str) -> Answer:
        """Makes a request, again after failures that may pass; a site that sends crawlers away gets longer pauses."""
        for attempt in itertools.count(1):
            self._wait()
            self._attempts += 1
            try:
                answer = request(asked)
            except Rejected as rejected:
                self._count_walls(rejected)
                if rejected.state != "failed" or attempt == self._trailers.attempts:
                    raise
                logger.info("%s: %s", asked, rejected.reason)
            else:
                self._walls = 0
                return answer

    def _wait(self) -> None:
        pause = min(self._trailers.pause * 2**self._walls, self._trailers.max_pause)
        time.sleep(max(0.0, pause - self._trailers.pause))

    def _count_walls(self, rejected: Rejected) -> None:
        if not isinstance(rejected, Throttled):
            self._walls = 0
            return
        self._walls += 1
        if self._walls >= self._trailers.walls:
            raise CrawlError(
                f"The site sends the crawler away: {rejected.reason}.",
                found=f"{self._walls} such answers in a row, with longer and longer pauses",
                fix="Run the stage again in some hours: it goes on where it ended. A longer crawl.trailers.pause, "
                "another network, or --cookies with a signed-in session's cookies.txt may help.",
            ) from rejected
