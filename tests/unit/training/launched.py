"""The work of each process of a launched group in tests: `launched.py FOLDER BEHAVIOUR [DEVICE]`."""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import distributed

from mmsrec.machine_errors import command
from mmsrec.training import heartbeat
from mmsrec.training.distributed import Processes, processes

SILENCE, EVERY = 3, 0.2
SIGNALS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}


def main(folder: Path, behaviour: str, device: str = "cpu") -> None:
    heartbeat.SILENCE, heartbeat.EVERY = SILENCE, EVERY
    with command(), processes(torch.device(device)) as group:
        share(folder, behaviour, group)


def share(folder: Path, behaviour: str, group: Processes) -> None:
    """Adds up the ranks, in the last process after it has been stopped."""
    group.wait()
    if group.rank == group.size - 1:
        (folder / "last").write_text(str(os.getpid()))
        if behaviour in SIGNALS:
            os.kill(os.getpid(), SIGNALS[behaviour])
        if behaviour == "wrong":
            raise ValueError("one of them is wrong")
    total = group.sum_(torch.tensor([group.rank], device=group.device))
    text = f"{total.item()} {os.environ['OMP_NUM_THREADS']} {distributed.get_world_size()}"
    (folder / f"rank{group.rank}").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
