"""Which GPU a process uses: processes on one machine share its GPUs out among themselves."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from filelock import FileLock, Timeout

from mmsrec.errors import TrainingError
from mmsrec.files import lock

VISIBLE = "CUDA_VISIBLE_DEVICES"  # the driver reads it when a process first uses a GPU
_LISTING_SECONDS = 60
_held: list[FileLock] = []  # a lock is given up when its object is deleted


def visible() -> list[str]:
    """The names of the GPUs that this process may use, in order: those of the environment, else all of the machine.

    A name is a number or another identifier that CUDA accepts. Without NVIDIA's driver there are none.
    """
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listing = subprocess.run(command, capture_output=True, text=True, timeout=_LISTING_SECONDS)  # noqa: S603
    # A machine with the driver and without a GPU gives a status.
    return listing.stdout.split() if listing.returncode == 0 else []


def take(number: int) -> list[str]:
    """Makes the least used GPUs the only ones of this process and its children, until it ends; returns their names.

    Processes of one user count each other by locks, so the system frees what a killed one used. Nobody waits: when
    each GPU is in use, a process shares one.

    Raises:
        TrainingError: the machine has fewer GPUs.
    """
    names = visible()
    if len(names) < number:
        raise TrainingError(
            "A training asks for more GPUs than there are.",
            where="nvidia-smi" if VISIBLE not in os.environ else VISIBLE,
            expected=f"{number:,} or more",
            found=len(names),
            fix="Ask for fewer with --processes, or with the resource `gpu` of Snakemake.",
        )
    # Two processes that start together must not both look before either has taken.
    with lock(_folder() / "taking"):
        users = {name: _users(name) for name in names}
        taken = sorted(names, key=users.__getitem__)[:number]
        for name in taken:
            _held.append(next(place for place in _places(name) if _got(place)))
    taken.sort(key=names.index)
    os.environ[VISIBLE] = ",".join(taken)
    return taken


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"mmsrec-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _places(name: str) -> Iterator[FileLock]:
    """The places of the processes that share a GPU: any number of them."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in name)
    return (FileLock(_folder() / f"{stem}.{number}.lock") for number in count())


def _users(name: str) -> int:
    """How many processes use a GPU."""
    known = len(list(_folder().iterdir()))
    places = [place for place in islice(_places(name), known) if Path(place.lock_file).exists()]
    free = [place for place in places if _got(place)]
    for place in free:
        place.release()
    return len(places) - len(free)


def _got(place: FileLock) -> bool:
    try:
        place.acquire(timeout=0)
    except Timeout:
        return False
    return True
