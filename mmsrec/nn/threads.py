"""Independent groups computed side by side in threads, each with a share of the cores."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch

from mmsrec.workers import prefetch

Group, Result = TypeVar("Group"), TypeVar("Result")

# Each thread holds the buffers and activations of a group.
MOST = 8


def in_threads(compute: Callable[[Group], Result], groups: Sequence[Group], device: torch.device) -> Iterator[Result]:
    """Yields the results in the order of the groups; at most one group a thread is in progress.

    On a CPU the operations of one group are too small to split over cores. So each thread computes whole groups.

    Args:
        compute: called in several threads at once; it records gradients if the caller does.
        groups: arguments of `compute`, independent of each other.
        device: device of the groups; on a GPU they are computed one after another.
    """
    available = torch.get_num_threads() if device.type == "cpu" else 1
    threads = min(available, MOST, len(groups))
    if threads < 2:
        yield from map(compute, groups)
        return
    computed = torch.set_grad_enabled(torch.is_grad_enabled())(compute)
    share = partial(torch.set_num_threads, available // threads)
    try:
        yield from prefetch(computed, groups, threads, most=threads, start=share)
    finally:
        torch.set_num_threads(available)
