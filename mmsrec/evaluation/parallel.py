"""Independent groups of an evaluation side by side in threads, each with a share of the processor."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Group, Result = TypeVar("Group"), TypeVar("Result")

# Each holds buffers and activations of a group.
MOST = 8


def in_threads(compute: Callable[[Group], Result], groups: Sequence[Group], device: torch.device) -> Iterator[Result]:
    """The results in the order of the groups, without gradients.

    On a CPU the operations of one group are too small to be worth sharing: whole groups are what its threads share.

    Args:
        compute: reads what threads may read at once.
        groups: computed independently.
        device: of the groups; a GPU has them one after another.
    """
    available = torch.get_num_threads() if device.type == "cpu" else 1
    threads = min(available, MOST, len(groups))
    if threads < 2:
        yield from map(torch.no_grad()(compute), groups)
        return
    try:
        with ThreadPoolExecutor(threads, "group", torch.set_num_threads, (available // threads,)) as pool:
            yield from pool.map(torch.no_grad()(compute), groups)
    finally:
        torch.set_num_threads(available)
