"""Threads that compute results before they are needed, and processes whose crash costs one call."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of_job() -> int:
    """The threads that this job may compute with: OMP_NUM_THREADS, which Snakemake sets, or else all processors."""
    number = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), max(1, int(number))) if number.isdecimal() else cores()


def prefetch(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    most: int | None = None,
    start: Callable[[], object] | None = None,
) -> Iterator[Result]:
    """Yields `function(item)` in the order of the items; threads compute the next results while the consumer works.

    Args:
        function: is called in one of the threads.
        items: the arguments of the calls.
        threads: number of threads.
        most: largest number of results that are being computed or wait for the consumer; None means 2 * threads.
        start: is called once in each thread, before any item.
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


class WorkerLost(Exception):
    """The process of a call died or did not answer in time; the next call starts a new process."""


class Worker(Generic[Item, Result]):
    """Calls a function in a separate process, so that a crash or a hang of native code costs one call."""

    def __init__(self, function: Callable[[Item], Result], timeout: float) -> None:
        """`function` must be importable by name; `timeout` is the longest duration of a call, in seconds."""
        self._function = function
        self._timeout = timeout
        self._process: multiprocessing.Process | None = None
        self._connection: Connection | None = None

    def __call__(self, item: Item) -> Result:
        """Returns the function's result.

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
        # A forked copy of a process with threads may hang. A spawned process starts clean.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._function, theirs), daemon=True)
        self._process.start()
        theirs.close()


def end_with_parent() -> None:
    """Lets this process of `multiprocessing` end when its parent ends, however it ends; the parent handles Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _serve(function: Callable[[Item], Result], connection: Connection) -> None:
    end_with_parent()
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        connection.send(function(item))


class Workers(Generic[Item, Result]):
    """Several `Worker` processes behind one call, which as many threads may use at once."""

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
        """Returns the function's result; raises the errors of `Worker`."""
        worker = self._idle.get()
        try:
            return worker(item)
        finally:
            self._idle.put(worker)
