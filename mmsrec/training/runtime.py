"""Settings of a process that computes with torch: device, denormals, memory allocation, determinism, seeds."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mmsrec.nn.dropout import dropout_draws_from

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


def start(device: str = "auto") -> torch.device:
    """Prepares this process and returns the device: `auto` is the first GPU if there is one, else the CPU."""
    # Numbers below 1e-38 carry no information here, and a processor computes with them slowly.
    torch.set_flush_denormal(True)
    if sys.platform == "linux":
        # Otherwise glibc returns every large tensor to the system, and the next one costs a page fault for each page.
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    # oneDNN caches scratch memory for the last 1,024 shapes; a training has some hundreds.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    if chosen.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # Otherwise cuDNN rounds the inputs of a GRU in float32 to ten bits.
        torch.backends.cudnn.allow_tf32 = False
        # Deterministic mode fills every empty tensor, which only helps to find reads of unwritten memory.
        torch.utils.deterministic.fill_uninitialized_memory = False
    return chosen


def seed_everything(*key: int) -> None:
    """Seeds torch's global generators, from which initial weights and dropout are drawn.

    The key holds numbers such as a seed, an epoch and a step. A continued training seeds again with the same key, so
    a checkpoint stores no generator's state.
    """
    torch.manual_seed(_state(key, 0))


@contextmanager
def seeded_dropout(device: torch.device, *key: int) -> Iterator[None]:
    """Seeds dropout inside the context by a key (see `seed_everything`): in this thread, or on a GPU in all threads."""
    if device.type != "cpu":
        seed_everything(*key)
        yield
        return
    with dropout_draws_from(torch.Generator().manual_seed(_state(key, 0))):
        yield


def generator_of(*key: int) -> torch.Generator:
    """A generator on the CPU for batches, masks and negatives, seeded by a key (see `seed_everything`)."""
    return torch.Generator().manual_seed(_state(key, 1))


def _state(key: tuple[int, ...], place: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(2)[place])
