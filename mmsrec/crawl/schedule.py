"""Which request may start when: a queue for each host, its concurrency, its rate and its pauses."""

import heapq
import itertools
import threading
import time
from collections.abc import Hashable
from operator import itemgetter
from typing import Generic, TypeVar

Task = TypeVar("Task")


class _Host(Generic[Task]):
    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.waiting: list[tuple[float, int, Task]] = []
        self.running = 0
        self.not_before = 0.0
        self.listed_at: float | None = None

    def ready_at(self) -> float:
        return max(self.not_before, self.waiting[0][0])


class Schedule(Generic[Task]):
    """A queue of tasks for many threads; a thread waits in `take`, never between the tries of one task.

    Args:
        concurrency: tasks of one host that may run at a time.
        rate: tasks of one host that may start in a second.
    """

    def __init__(self, concurrency: int, rate: float) -> None:
        self._concurrency = concurrency
        self._interval = 1 / rate
        self._hosts: dict[Hashable, _Host[Task]] = {}
        self._ready: list[tuple[float, int, _Host[Task]]] = []
        self._order = itertools.count()
        self._condition = threading.Condition()
        self._closed = False

    def add(self, host: Hashable, task: Task, delay: float = 0.0) -> None:
        """Queues a task that may start after `delay` seconds."""
        with self._condition:
            row = self._hosts.setdefault(host, _Host(host))
            heapq.heappush(row.waiting, (time.monotonic() + delay, next(self._order), task))
            self._list(row)

    def take(self) -> Task | None:
        """The next task, as soon as its host allows one; None after `close`. `release` its host after its request."""
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                if not self._ready or self._ready[0][0] > now:
                    self._condition.wait(self._ready[0][0] - now if self._ready else None)
                    continue
                at, _, row = heapq.heappop(self._ready)
                if at != row.listed_at:
                    continue
                row.listed_at = None
                if row.ready_at() <= now:
                    return self._start(row, now)
                self._list(row)
            return None

    def release(self, host: Hashable) -> None:
        """Says that a task's request is over."""
        with self._condition:
            row = self._hosts[host]
            row.running -= 1
            self._list(row)
            if not row.waiting and not row.running and row.not_before <= time.monotonic():
                del self._hosts[host]

    def pause(self, host: Hashable, seconds: float) -> None:
        """Starts no task of a host for some seconds."""
        with self._condition:
            row = self._hosts.setdefault(host, _Host(host))
            row.not_before = max(row.not_before, time.monotonic() + seconds)

    def drain(self, host: Hashable) -> list[Task]:
        """Takes every waiting task of a host off the queue."""
        with self._condition:
            row = self._hosts.get(host)
            if row is None:
                return []
            tasks = [task for _, _, task in sorted(row.waiting, key=itemgetter(0, 1))]
            row.waiting.clear()
            row.listed_at = None
            return tasks

    def close(self) -> None:
        """Ends the waiting: every `take` gives None from now on."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _start(self, row: _Host[Task], now: float) -> Task:
        task = heapq.heappop(row.waiting)[2]
        row.running += 1
        row.not_before = max(row.not_before, now - self._interval) + self._interval
        self._list(row)
        if self._ready:
            self._condition.notify()
        return task

    def _list(self, row: _Host[Task]) -> None:
        """Puts a host among those that may start a task, at the time when they may; an earlier entry becomes stale."""
        if not row.waiting or row.running >= self._concurrency:
            return
        at = row.ready_at()
        if row.listed_at is None or at < row.listed_at:
            row.listed_at = at
            heapq.heappush(self._ready, (at, next(self._order), row))
            self._condition.notify()
