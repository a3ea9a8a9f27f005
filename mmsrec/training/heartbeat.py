"""Ends a process whose partner no longer answers.

A killed process closes its connections, so the others get an error at once. A frozen process or a lost machine closes
nothing. Then the others would wait for as long as a pause between two steps may last.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore

# In seconds. The launcher waits for another 30 before it kills a frozen process, so all end within a minute.
SILENCE, EVERY = 20, 5
_DONE = b"done"


@contextmanager
def heartbeat(rank: int, size: int) -> Iterator[None]:
    """Shows the other processes that this one lives, and ends it when one of them is silent for `SILENCE` seconds.

    The processes meet in the store that torchrun names in the environment (MASTER_ADDR, MASTER_PORT).

    Args:
        rank: number of this process.
        size: number of processes.
    """
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # The training has a separate connection, which waits in long calls.
    store = PrefixStore("heartbeat", TCPStore(*address, is_master=False, timeout=timedelta(seconds=SILENCE)))
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(store, rank, size, done, _end), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(store: PrefixStore, rank: int, size: int, done: threading.Event, end: Callable[[str], None]) -> None:
    """Sends a sign of this process every `EVERY` seconds, the last one when it is done, and calls `end` in need."""
    others = [other for other in range(size) if other != rank]
    signs = dict.fromkeys(others, b"")
    since = dict.fromkeys(others, time.monotonic())
    try:
        while not done.wait(EVERY):
            store.set(str(rank), str(time.monotonic()))
            for other in others:
                sign = store.get(str(other)) if store.check([str(other)]) else b""
                if sign in (signs[other], b"") and sign != _DONE:
                    if time.monotonic() - since[other] > SILENCE:
                        return end(f"process {other} has been silent for {SILENCE} seconds")
                else:
                    signs[other], since[other] = sign, time.monotonic()
        store.set(str(rank), _DONE)
    except RuntimeError as error:
        # The process that keeps the store may have ended well, just before this one does.
        if not done.wait(SILENCE):
            end(f"the store of the processes no longer answers: {error}")


def _end(reason: str) -> None:
    print(f"error: This training cannot go on, because {reason}.", file=sys.stderr, flush=True)
    # An exception in this thread would not end the main one, which waits in a call of the network.
    os._exit(1)
