"""Work that runs ahead of its consumer, in threads or in processes that may die."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    most: int | None = None,
    start: Callable[[], object] | None = None,
) -> Iterator[Result]:
    """Yields `function(item)` in the order of the items, computed in threads a few items ahead of the consumer.

    Args:
        function: called in one of the threads.
        items: its arguments.
        threads: how many.
        most: results that are under way or wait for the consumer; None for twice the threads.
        start: called first in each thread.
    """
    pending: deque[Future[Result]] = deque()
    most = most or 2 * threads
    with ThreadPoolExecutor(threads, initializer=start) as pool:
        try:
            for item in items:
                if len(pending) == most:
                    yield pending.popleft().result()
                pending.append(pool.submit(function, item))
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def bursts(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yields as `ahead`, but computes a few items at a time while the consumer waits.

    For a consumer that keeps the same processors busy: threads of both at once slow each other down, because those of
    a matrix product wait for the slowest.
    """
    source = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(source, 2 * threads)):
            yield from list(pool.map(function, some))


class WorkerLost(Exception):
    """The process of a call died or did not answer in time; the next call gets a new one."""


class Worker(Generic[Item, Result]):
    """Calls a function in a process of its own, so that a crash or a hang of native code costs one call."""

    def __init__(self, function: Callable[[Item], Result], timeout: float) -> None:
        """`function` can be imported by name; `timeout` bounds a call, in seconds."""
        self._function = function
        self._timeout = timeout
        self._process: multiprocessing.Process | None = None
        self._connection: Connection | None = None

    def __call__(self, item: Item) -> Result:
        """The function's result.

        Raises:
            WorkerLost: the process died, the function raised, or the timeout passed.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send(item)
            if not self._connection.poll(self._timeout):
                self.stop()
                raise WorkerLost(f"no answer within {self._timeout:g} seconds")
            return self._connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            status = self._process.exitcode
            self.stop()
            raise WorkerLost(f"the process ended with status {status}") from error

    def stop(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def _start(self) -> None:
        # A forked copy of a process with threads may hang; a spawned one starts clean.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._function, theirs), daemon=True)
        self._process.start()
        theirs.close()


def _serve(function: Callable[[Item], Result], connection: Connection) -> None:
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        connection.send(function(item))


class Workers(Generic[Item, Result]):
    """A number of `Worker` processes behind one call, for use from as many threads."""

    def __init__(self, function: Callable[[Item], Result], count: int, timeout: float) -> None:
        self._all = [Worker(function, timeout) for _ in range(count)]
        self._idle: SimpleQueue[Worker[Item, Result]] = SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)

    def __enter__(self) -> "Workers[Item, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the processes."""
        for worker in self._all:
            worker.stop()

    def __call__(self, item: Item) -> Result:
        """The function's result; errors as in `Worker`."""
        worker = self._idle.get()
        try:
            return worker(item)
        finally:
            self._idle.put(worker)
