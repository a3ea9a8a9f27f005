"""The processes of one training: a single process, or the processes that torchrun started."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from mmsrec.errors import TrainingError
from mmsrec.training.heartbeat import heartbeat

# The longest pause between two steps, such as a validation. The heartbeat finds a process that has died earlier.
TIMEOUT = timedelta(minutes=30)
# What gloo and nccl say when a connection to another process breaks.
_LOST = re.compile(r"gloo|nccl|connection (closed|reset)|broken pipe", re.IGNORECASE)


@dataclass(frozen=True)
class Processes:
    """The processes of a training, seen from this one. All processes must call each method together.

    Attributes:
        device: device of the tensors of this process.
        rank: number of this process, from 0.
        size: number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """The rank and the number of processes: which part of a batch belongs to this process."""
        return self.rank, self.size

    def sizes(self, rows: int) -> list[int]:
        """The number of rows of every process, by rank."""
        if self.size == 1:
            return [rows]
        counts = torch.empty(self.size, dtype=torch.int64, device=self.device)
        distributed.all_gather_single(counts, torch.tensor([rows], device=self.device))
        return counts.tolist()

    def gather(self, own_ND: Tensor, sizes: Sequence[int]) -> Tensor:
        """The rows of all processes, in the order of their ranks.

        Args:
            own_ND: rows of this process.
            sizes: number of rows of every process.
        """
        if self.size == 1:
            return own_ND
        longest = max(sizes)
        padded = F.pad(own_ND, (0, 0) * (own_ND.dim() - 1) + (0, longest - len(own_ND))).contiguous()
        everyone = padded.new_empty(self.size * longest, *padded.shape[1:])
        distributed.all_gather_single(everyone, padded)
        if min(sizes) == longest:
            return everyone
        return torch.cat([part[:size] for part, size in zip(everyone.split(longest), sizes, strict=True)])

    def scatter_sum(self, everyone_ND: Tensor, sizes: Sequence[int]) -> Tensor:
        """This process's rows of the sum over the processes: the gradient of `gather`; arguments as there."""
        if self.size == 1:
            return everyone_ND
        longest = max(sizes)
        parts = everyone_ND.split(list(sizes))
        padded = torch.cat([F.pad(part, (0, 0, 0, longest - len(part))) for part in parts])
        own_ND = padded.new_empty(longest, padded.shape[1])
        distributed.reduce_scatter_single(own_ND, padded)
        return own_ND[: sizes[self.rank]]

    def sum_(self, tensor: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def sum_gradients(self, module: nn.Module) -> None:
        """Replaces every gradient of the module by its sum over the processes; it stays None if no process has one."""
        if self.size == 1:
            return
        parameters = list(module.parameters())
        reached = self.sum_(torch.tensor([float(x.grad is not None) for x in parameters], device=self.device)).tolist()
        shared = [x for x, count in zip(parameters, reached, strict=True) if count]
        for parameter in shared:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = self.sum_(torch.cat([parameter.grad.flatten() for parameter in shared]))
        for parameter, summed in zip(shared, flat.split([part.numel() for part in shared]), strict=True):
            parameter.grad.copy_(summed.view_as(parameter))

    def from_lead(self, text: Callable[[], str]) -> str:
        """A text of 16 letters that only the leading process computes."""
        if self.size == 1:
            return text()
        letters = torch.tensor([*text().encode()] if self.leads else [0] * 16, dtype=torch.uint8, device=self.device)
        distributed.broadcast(letters, 0)
        return bytes(letters.tolist()).decode()

    def wait(self) -> None:
        """Returns when every process has called it."""
        self.sum_(torch.zeros(1, device=self.device))


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that torchrun started (nccl on GPUs, gloo on CPUs); without torchrun, this one alone.

    Args:
        device: device of this process; for a GPU, torchrun's local rank chooses which.
    """
    if "RANK" not in os.environ:
        yield Processes(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    rank, size = distributed.get_rank(), distributed.get_world_size()
    try:
        with heartbeat(rank, size):
            yield Processes(device, rank, size)
    except RuntimeError as error:
        if not _LOST.search(str(error)):
            raise
        raise TrainingError(
            "Another process of this training has ended.",
            where=f"process {rank} of {size}",
            found=str(error).strip().splitlines()[0].partition(". ")[0],
            fix="See the message of the process that ended first. The same command continues from the last checkpoint.",
        ) from error
    finally:
        distributed.destroy_process_group()
