"""Threads on a CPU: each operation has one thread, and groups that do not depend on each other share the cores.

An operation with several threads adds in an order that depends on their number. Here each has one thread, and sums
over groups are in the order of the groups. So the results are the same bytes on any number of cores.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TypeVar

import torch

from mmsrec.workers import prefetch

Group, Result = TypeVar("Group"), TypeVar("Result")

# Each thread holds the buffers and activations of a group.
MOST = 16

_shared: ContextVar[int | None] = ContextVar("threads that groups share", default=None)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """A context in which each operation of torch on a CPU has one thread.

    Groups (`in_threads`) inside it share as many threads as torch had outside.
    """
    before = torch.get_num_threads()
    shared = _shared.set(_available())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _shared.reset(shared)


def in_threads(compute: Callable[[Group], Result], groups: Sequence[Group], device: torch.device) -> Iterator[Result]:
    """Yields the results in the order of the groups; at most one group a thread is in progress.

    On a CPU the operations of one group are too small to split over cores. So each thread computes whole groups.

    Args:
        compute: called in several threads at once; it records gradients if the caller does.
        groups: arguments of `compute`, independent of each other.
        device: device of the groups; on a GPU they are computed one after another.
    """
    if device.type != "cpu":
        yield from map(compute, groups)
        return
    threads = min(_available(), MOST, len(groups))
    if threads < 2:
        yield from map(one_thread_each()(compute), groups)
        return
    computed, before = torch.set_grad_enabled(torch.is_grad_enabled())(compute), torch.get_num_threads()
    try:
        yield from prefetch(computed, groups, threads, most=threads, start=partial(torch.set_num_threads, 1))
    finally:
        # Setting the number in one thread sets the default of all.
        torch.set_num_threads(before)


def _available() -> int:
    """The number of threads that groups share."""
    return _shared.get() or torch.get_num_threads()
