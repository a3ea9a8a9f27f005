"""The threads of a crawl over HTTP.

Each redirect, retry or further URL of an item goes back into the schedule as a separate step.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from queue import SimpleQueue

from mmsrec.crawl.entry import Entry, Rejected
from mmsrec.crawl.media_kinds import PICTURES, Kind, MediaSavers
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.policy import Origin, Target, candidates, target
from mmsrec.crawl.request import OK, TOO_MANY_REQUESTS, Fetcher, Redirect
from mmsrec.crawl.schedule import Schedule
from mmsrec.settings.crawling import Crawl
from mmsrec.sources.retry_pause import doubled_pause

POLL_SECONDS = 0.05
GIVEN_UP = "the host failed too often in a row and was given up"


@dataclass(slots=True)
class _Task:
    item_id: str
    url: str
    candidates: list[str]
    target: Target | None = None
    hops: int = 0
    tries: int = 0
    attempts: int = 0
    failure: Rejected | None = None


class MediaCrawl:
    """One crawl of some items.

    Args:
        policy: the rules, bounds and rates of the crawl.
        store: receives the verified media.
        kind: the kind of media that is accepted.
    """

    def __init__(self, policy: Crawl, store: Store, kind: Kind = PICTURES) -> None:
        self._policy = policy
        self._savers = MediaSavers(kind, store, policy)
        self._fetcher = Fetcher(policy, kind)
        self._schedule: Schedule[_Task] = Schedule(policy.host_concurrency, policy.host_rate)
        self._finished: SimpleQueue[Entry | Future[None]] = SimpleQueue()
        self._host_failures: Counter[Origin] = Counter()
        self._lock = threading.Lock()

    def run(self, urls: Mapping[str, str | None], connections: int) -> Iterator[Entry]:
        """Crawls every item and yields its entry, in the order in which the items finish."""
        for item_id, url in urls.items():
            self._begin(item_id, url)
        with self._savers, closing(self._fetcher), ThreadPoolExecutor(connections, "crawl") as workers:
            try:
                for _ in range(min(connections, len(urls))):
                    # While the schedule is open, only an error ends a worker. Its future brings it to this thread.
                    workers.submit(self._work).add_done_callback(self._finished.put)
                for _ in urls:
                    # This thread sleeps while there are no entries. A wake-up for each entry would slow the workers.
                    if self._finished.empty():
                        time.sleep(POLL_SECONDS)
                    entry = self._finished.get()
                    if isinstance(entry, Future):
                        entry.result()
                    yield entry
            finally:
                self._schedule.close()

    def _work(self) -> None:
        while task := self._schedule.take():
            try:
                answer = self._request(task)
                if isinstance(answer, Redirect):
                    self._follow(task, answer)
                else:
                    self._save(task, answer)
            except Rejected as rejected:
                self._retry_or_finish(task, rejected)

    def _begin(self, item_id: str, url: str | None) -> None:
        if url is None:
            self._finished.put(Entry(item_id, "missing"))
        else:
            self._try_next(_Task(item_id, url, candidates(url, self._policy.host_rewrites)))

    def _try_next(self, task: _Task, rejected: Rejected | None = None) -> None:
        """Queues the item's next URL. Without a next URL it finishes the item; a `failed` URL then counts first."""
        while task.candidates:
            task.tries = task.hops = 0
            try:
                self._queue(task, task.candidates[0])
            except Rejected as error:
                rejected = error
                task.candidates.pop(0)
            else:
                return
        self._finish(task, task.failure or rejected)

    def _queue(self, task: _Task, url: str, delay: float = 0.0) -> None:
        task.target = target(url)
        self._schedule.add(task.target.origin, task, delay)

    def _request(self, task: _Task) -> bytes | Redirect:
        origin = task.target.origin
        try:
            self._check_host(origin)
            if not task.hops:
                task.tries += 1
                task.attempts += 1
            answer = self._fetcher.media(task.target)
            self._host_failures.pop(origin, None)
            return answer
        except Rejected as rejected:
            self._note_rejection(origin, rejected, task.tries)
            raise
        finally:
            self._schedule.release(origin)

    def _follow(self, task: _Task, redirect: Redirect) -> None:
        task.hops += 1
        if task.hops > self._policy.max_redirects:
            raise Rejected("dead", f"more than {self._policy.max_redirects} redirects", status=redirect.status)
        self._queue(task, redirect.url)

    def _save(self, task: _Task, body: bytes) -> None:
        try:
            saved = self._savers(task.item_id, body)
        except Rejected as rejected:
            rejected.status = OK
            raise
        self._finished.put(replace(saved, url=task.url, status=OK, attempts=task.attempts))

    def _retry_or_finish(self, task: _Task, rejected: Rejected) -> None:
        """Retries the URL after `failed`, tries the next one after `dead` or a placeholder, and finishes otherwise."""
        if rejected.state not in ("failed", "dead", "missing"):
            self._finish(task, rejected)
            return
        if rejected.state == "failed":
            if task.tries < self._policy.attempts and not self._given_up(task.target.origin):
                task.hops = 0
                self._queue(task, task.candidates[0], self._pause(task.tries))
                return
            task.failure = rejected
        task.candidates.pop(0)
        self._try_next(task, rejected)

    def _finish(self, task: _Task, rejected: Rejected) -> None:
        self._finished.put(
            Entry(
                task.item_id,
                rejected.state,
                task.url,
                rejected.status,
                attempts=task.attempts,
                error=rejected.reason,
            )
        )

    def _note_rejection(self, origin: Origin, rejected: Rejected, tries: int) -> None:
        """Pauses the host if the server requests it. Counts failures of the host and gives it up after too many."""
        pause = rejected.pause
        if pause is None and rejected.status == TOO_MANY_REQUESTS:
            pause = self._pause(tries)
        if pause:
            self._schedule.pause(origin, pause)
        if not rejected.of_host:
            self._host_failures.pop(origin, None)
            return
        with self._lock:
            self._host_failures[origin] += 1
        if self._given_up(origin):
            for task in self._schedule.drain(origin):
                self._retry_or_finish(task, Rejected("failed", GIVEN_UP, of_host=True))

    def _check_host(self, origin: Origin) -> None:
        if self._given_up(origin):
            raise Rejected("failed", GIVEN_UP, of_host=True)

    def _given_up(self, origin: Origin) -> bool:
        return self._host_failures[origin] >= self._policy.host_failures

    def _pause(self, tries: int) -> float:
        return doubled_pause(tries, self._policy.backoff, self._policy.max_pause)
