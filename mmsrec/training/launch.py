"""Starts the processes that share one training, on this machine and perhaps on others, by torchrun's own launcher."""

import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from mmsrec import gpus
from mmsrec.errors import TrainingError
from mmsrec.workers import threads_of_job

JOIN_SECONDS = 600
HERE = "127.0.0.1:0"  # any free port of this machine
_ADDRESS_OF_CARD = 0x8915  # Linux's SIOCGIFADDR


@dataclass(frozen=True)
class Group:
    """The processes of one training.

    Attributes:
        processes: processes on each machine; each has a GPU if there are any.
        machines: number of machines. Each runs the same command.
        meeting: "host:port" of one of them, where all machines meet; port 0 is any free one, for one machine.
        address: this machine's address for the others; None for the one on the way to the meeting place.
    """

    processes: int = 1
    machines: int = 1
    meeting: str = HERE
    address: str | None = None

    def __post_init__(self) -> None:
        host, _, port = self.meeting.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise TrainingError(
                "The place where the machines meet is not an address.",
                where="--rendezvous",
                expected="HOST:PORT",
                found=self.meeting,
            )
        if self.machines > 1 and int(port) == 0:
            raise TrainingError(
                "Several machines need a port that all of them know.",
                where="--rendezvous",
                expected="HOST:PORT with a port from 1",
                found=self.meeting,
                fix="Name one machine and a free port of it, such as --rendezvous node1:29400, on every machine.",
            )

    @property
    def is_one(self) -> bool:
        return self.processes <= 1 and self.machines == 1


def is_started() -> bool:
    """Whether this process is one of those that `launch` or torchrun started."""
    return "RANK" in os.environ


def launch(group: Group, command: Sequence[str], *, on_gpus: bool) -> None:
    """Runs a Python script in every process of the group that belongs to this machine, and waits for their end.

    Args:
        command: path of the script, and its flags.
        on_gpus: whether each process gets a GPU, if the machine has any.

    Raises:
        TrainingError: a process failed, or a machine did not come. The other processes have been ended.
    """
    if on_gpus and gpus.visible():
        gpus.take(group.processes)
    os.environ["OMP_NUM_THREADS"] = str(max(1, threads_of_job() // group.processes))
    host, way = _way(group.meeting)
    address = group.address or way
    if card := _network_card(address):
        # Otherwise gloo takes the card that the machine's name stands for, which is often the loopback.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", card)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", card)
    config = LaunchConfig(
        min_nodes=group.machines,
        max_nodes=group.machines,
        nproc_per_node=group.processes,
        run_id="mmsrec",
        rdzv_backend="c10d",
        rdzv_endpoint=group.meeting,
        # Without `is_host`, the launcher compares names, and a machine may have several.
        rdzv_configs={"is_host": host == address} | dict.fromkeys(("join_timeout", "read_timeout"), JOIN_SECONDS),
        max_restarts=0,
        monitor_interval=1,
        local_addr=address,
    )
    try:
        elastic_launch(config, sys.executable)("-u", *command)
    except RendezvousError as error:
        raise TrainingError(
            "The machines of this training have not met.",
            where=group.meeting,
            expected=f"{group.machines:,} machines within {JOIN_SECONDS} seconds",
            found=error,
            fix="Run the same command on every machine, with an address that all of them reach.",
        ) from error
    except ChildFailedError as error:
        rank, failure = min(error.failures.items(), key=lambda failed: _order(failed[1]))
        raise TrainingError(
            "A process of this training failed, so all of its processes ended.",
            where=f"process {rank} on {socket.gethostname()}",
            found=_reason(failure),
            fix="See its own message above. The same command continues from the last checkpoint.",
        ) from error


def _way(meeting: str) -> tuple[str, str]:
    """The address of the meeting place, and that of this machine on the way to it."""
    host, _, port = meeting.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect((host, int(port) or 1))  # sends nothing
            return way.getpeername()[0], way.getsockname()[0]
    except OSError as error:
        raise TrainingError(
            "The place where the machines meet cannot be reached.", where="--rendezvous", found=f"{meeting}: {error}"
        ) from error


def _network_card(address: str) -> str | None:
    """The name of the network card with an address; None for a loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode())
            with suppress(OSError):  # a card without an address
                answer = fcntl.ioctl(asking.fileno(), _ADDRESS_OF_CARD, request)
                if socket.inet_ntoa(answer[20:24]) == address and not address.startswith("127."):
                    return name
    return None


def _order(failure: ProcessFailure) -> tuple[bool, int]:
    """A process that a signal ended is the cause: the others then miss it. The launcher ends those by SIGTERM."""
    return failure.exitcode == -signal.SIGTERM, failure.exitcode


def _reason(failure: ProcessFailure) -> str:
    if failure.exitcode >= 0:
        return f"status {failure.exitcode}"
    return f"ended by {signal.Signals(-failure.exitcode).name}"
