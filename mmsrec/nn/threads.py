"""Independent groups of sequences side by side in threads, each with a share of the processor."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch

from mmsrec.workers import prefetch

Group, Result = TypeVar("Group"), TypeVar("Result")

# Each holds buffers and activations of a group.
MOST = 8


def in_threads(compute: Callable[[Group], Result], groups: Sequence[Group], device: torch.device) -> Iterator[Result]:
    """The results in the order of the groups, no more at a time than there are threads.

    On a CPU the operations of one group are too small to be worth sharing: whole groups are what its threads share.

    Args:
        compute: reads what threads may read at once; records gradients where the caller does.
        groups: computed independently.
        device: of the groups; a GPU has them one after another.
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
