"""Schedule of requests: a queue for each host with its concurrency, its rate and its pauses."""

import heapq
import itertools
import threading
import time
from collections.abc import Hashable
from operator import itemgetter
from typing import Generic, TypeVar

Task = TypeVar("Task")


class _Queue(Generic[Task]):
    """The waiting tasks of one host."""

    def __init__(self, host: Hashable) -> None:
        self.host = host
        self.waiting: list[tuple[float, int, Task]] = []
        self.running = 0
        self.not_before = 0.0
        self.listed_at: float | None = None

    def ready_at(self) -> float:
        return max(self.not_before, self.waiting[0][0])


class Schedule(Generic[Task]):
    """A queue of tasks for many threads. A thread waits in `take` only, never between the tries of one task.

    Args:
        concurrency: largest number of running tasks of one host.
        rate: largest number of tasks of one host that start in a second.
    """

    def __init__(self, concurrency: int, rate: float) -> None:
        self._concurrency = concurrency
        self._interval = 1 / rate
        self._queues: dict[Hashable, _Queue[Task]] = {}
        self._ready: list[tuple[float, int, _Queue[Task]]] = []
        self._order = itertools.count()
        self._condition = threading.Condition()
        self._closed = False

    def add(self, host: Hashable, task: Task, delay: float = 0.0) -> None:
        """Queues a task that may start after `delay` seconds."""
        with self._condition:
            queue = self._queues.setdefault(host, _Queue(host))
            heapq.heappush(queue.waiting, (time.monotonic() + delay, next(self._order), task))
            self._list(queue)

    def take(self) -> Task | None:
        """Waits for the next task whose host may start one, and returns it. Returns None after `close`.

        The caller must `release` the task's host after the request.
        """
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                if not self._ready or self._ready[0][0] > now:
                    self._condition.wait(self._ready[0][0] - now if self._ready else None)
                    continue
                at, _, queue = heapq.heappop(self._ready)
                if at != queue.listed_at:
                    continue
                queue.listed_at = None
                if queue.ready_at() <= now:
                    return self._start(queue, now)
                self._list(queue)
            return None

    def release(self, host: Hashable) -> None:
        """Records that the request of a task has ended."""
        with self._condition:
            queue = self._queues[host]
            queue.running -= 1
            self._list(queue)
            if not queue.waiting and not queue.running and queue.not_before <= time.monotonic():
                del self._queues[host]

    def pause(self, host: Hashable, seconds: float) -> None:
        """Starts no task of a host for `seconds`."""
        with self._condition:
            queue = self._queues.setdefault(host, _Queue(host))
            queue.not_before = max(queue.not_before, time.monotonic() + seconds)

    def drain(self, host: Hashable) -> list[Task]:
        """Removes every waiting task of a host and returns these tasks in order."""
        with self._condition:
            queue = self._queues.get(host)
            if queue is None:
                return []
            tasks = [task for _, _, task in sorted(queue.waiting, key=itemgetter(0, 1))]
            queue.waiting.clear()
            queue.listed_at = None
            return tasks

    def close(self) -> None:
        """Closes the schedule: each present and future `take` returns None."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _start(self, queue: _Queue[Task], now: float) -> Task:
        task = heapq.heappop(queue.waiting)[2]
        queue.running += 1
        queue.not_before = max(queue.not_before, now - self._interval) + self._interval
        self._list(queue)
        if self._ready:
            self._condition.notify()
        return task

    def _list(self, queue: _Queue[Task]) -> None:
        """Lists a host as ready at its earliest start time. An earlier listing of the host becomes invalid."""
        if not queue.waiting or queue.running >= self._concurrency:
            return
        at = queue.ready_at()
        if queue.listed_at is None or at < queue.listed_at:
            queue.listed_at = at
            heapq.heappush(self._ready, (at, next(self._order), queue))
            self._condition.notify()
