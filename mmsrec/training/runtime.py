"""What a process that computes with torch sets once: device, denormals, memory allocation, determinism, seeds."""

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
    # Numbers below 1e-38 carry no information here, and the processor handles each by a slow trap.
    torch.set_flush_denormal(True)
    if sys.platform == "linux":
        # Without this, glibc returns every large tensor to the system and takes a page fault for each page of the next.
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    # oneDNN keeps what it made for the last 1,024 shapes, activations-sized scratch included; ours are some hundreds.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512")
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    if chosen.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # Every empty tensor would be filled, to make it plain when one is read before it is written.
        torch.utils.deterministic.fill_uninitialized_memory = False
    return chosen


def seed_everything(*key: int) -> None:
    """Seeds torch's global generators, which initial weights and dropout draw from.

    The key holds what a state depends on, such as a seed, an epoch and a step: an interrupted run is continued by
    seeding again, with no generator's state to be kept.
    """
    torch.manual_seed(_state(key, 0))


@contextmanager
def seeded_dropout(device: torch.device, *key: int) -> Iterator[None]:
    """Within it this thread's dropout is decided by the key, as above; on a GPU, that of all threads."""
    if device.type != "cpu":
        seed_everything(*key)
        yield
        return
    with dropout_draws_from(torch.Generator().manual_seed(_state(key, 0))):
        yield


def generator_of(*key: int) -> torch.Generator:
    """A generator on the CPU for batches, masks and negatives, seeded by a key as above."""
    return torch.Generator().manual_seed(_state(key, 1))


def _state(key: tuple[int, ...], place: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(2)[place])
