"""A training's state on the way, written atomically, and found again by what it depends on."""

import hashlib
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from mmsrec.errors import CheckpointError
from mmsrec.files import atomic_path

logger = logging.getLogger(__name__)

Saved = TypeVar("Saved")
RESTART = "Delete it: the training then starts from the beginning."


@dataclass
class State:
    """Where a training on a domain stands, between two steps.

    Attributes:
        epoch: in progress, from 1.
        step: steps done in it.
        totals: of the steps done in it.
        seconds: spent on them.
        model, optimizer: their state dictionaries.
        best: the weights with the best validation metric so far, and
        best_metric, best_epoch: that metric and its epoch.
        history: one row an epoch done.
    """

    epoch: int = 1
    step: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_metric: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def digest(key: Mapping[str, object]) -> str:
    """Sixteen hexadecimal digits that stand for the settings and inputs of a training."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


class Checkpoint(Generic[Saved]):
    """The checkpoints of one training; those of other settings in its folder are removed when one is written.

    A file's name holds the digest of its content, so that damage is seen before anything is read from it.

    Args:
        folder: where the files are.
        key: what the training depends on.
        kind: dataclass of the state.
        keep: newest checkpoints that stay.
    """

    def __init__(self, folder: Path, key: Mapping[str, object], kind: type[Saved] = State, keep: int = 1) -> None:
        self._folder, self._prefix, self._kind, self._keep = Path(folder), f"checkpoint-{digest(key)}-", kind, keep

    def load(self) -> Saved | None:
        """The newest state that is whole, or None when there is none for these settings.

        Raises:
            CheckpointError: every checkpoint is damaged, or another version of this class wrote the newest one.
        """
        paths = self._paths()
        for path in paths:
            content = path.read_bytes()
            if path.stem.endswith(_digest_of(content)):
                return self._state(content, path)
            logger.warning("%s is damaged and passed over", path)
        if paths:
            raise CheckpointError(
                "A checkpoint is damaged, and there is no older one.",
                where=paths[0],
                expected="a file whose digest is the one in its name",
                found="another content",
                fix=RESTART,
            )
        return None

    def _state(self, content: bytes, path: Path) -> Saved:
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        try:
            return self._kind(**saved)
        except TypeError as error:
            raise CheckpointError(
                "Another version of mmsrec wrote this checkpoint.", where=path, found=error, fix=RESTART
            ) from error

    def save(self, state: Saved, done: int) -> None:
        """Writes the state; of two, the newer is the one that has more steps or epochs `done`."""
        buffer = io.BytesIO()
        torch.save(vars(state), buffer)
        content = buffer.getbuffer()
        # What a process that was killed in the middle of writing left behind.
        for leftover in self._folder.glob(".checkpoint-*.tmp"):
            leftover.unlink()
        with atomic_path(self._folder / f"{self._prefix}{done:09d}-{_digest_of(content)}.pt") as temporary:
            temporary.write_bytes(content)
        kept = self._paths()[: self._keep]
        for path in self._folder.glob("checkpoint-*.pt"):
            if path not in kept:
                path.unlink()

    def remove(self) -> None:
        """Removes what this training has saved."""
        for path in self._paths():
            path.unlink()

    def _paths(self) -> list[Path]:
        """Newest first."""
        return sorted(self._folder.glob(f"{self._prefix}*.pt"), reverse=True)


def _digest_of(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of the weights on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
