"""Checkpoints with the state of a training between two steps, from which a killed run continues."""

import hashlib
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsrec.errors import CheckpointError
from mmsrec.files import atomic_path
from mmsrec.training.torch_file import NotReadable, read_torch_file

logger = logging.getLogger(__name__)

RESTART = "Delete it: the training then starts from the beginning."


@dataclass
class TrainingState:
    """The progress of a training between two steps.

    Attributes:
        epoch: the current epoch, from 1.
        step: number of steps done in it.
        sums: numbers that its steps returned, summed.
        seconds: time spent on its steps.
        model, optimizer: their state dictionaries.
        best: weights with the best validation metric; empty before the first validation.
        best_metric, best_epoch: that metric and its epoch.
        history: one row per finished epoch.
    """

    epoch: int = 1
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_metric: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def result(self) -> dict[str, Tensor]:
        """The weights that a finished training keeps: the best, or without validation the last."""
        return self.best or self.model


def digest(key: Mapping[str, object]) -> str:
    """Sixteen hexadecimal digits that identify the settings and inputs of a training."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


class Checkpoint:
    """The checkpoint files of one training.

    A file's name contains the digest of its content, so that damage is found before the content is parsed.

    Args:
        folder: folder of the files. Writing a checkpoint removes the files of other keys.
        key: everything that the training depends on.
        keep: number of newest files that stay.
    """

    def __init__(self, folder: Path, key: Mapping[str, object], keep: int = 1) -> None:
        self._folder, self._prefix, self._keep = Path(folder), f"checkpoint-{digest(key)}-", keep

    def load(self) -> TrainingState | None:
        """The newest undamaged state; None if this training has no checkpoint.

        Raises:
            CheckpointError: every checkpoint is damaged, or another version of mmsrec or torch wrote the newest one.
        """
        paths = self._paths()
        for path in paths:
            content = path.read_bytes()
            if path.stem.endswith(_digest_of(content)):
                return _state(content, path)
            logger.warning("%s is damaged and ignored", path)
        if paths:
            raise CheckpointError(
                "A checkpoint is damaged, and there is no older one.",
                where=paths[0],
                expected="a file whose digest is the one in its name",
                found="another content",
                fix=RESTART,
            )
        return None

    def save(self, state: TrainingState, done: int) -> None:
        """Writes a checkpoint atomically and removes old ones.

        Args:
            state: the state to save.
            done: orders the checkpoints of a training; it grows with every step and with every end of an epoch.
        """
        buffer = io.BytesIO()
        torch.save(vars(state), buffer)
        content = buffer.getbuffer()
        self._remove_unfinished()
        with atomic_path(self._folder / f"{self._prefix}{done:09d}-{_digest_of(content)}.pt") as temporary:
            temporary.write_bytes(content)
        kept = self._paths()[: self._keep]
        for path in self._folder.glob("checkpoint-*.pt"):
            if path not in kept:
                path.unlink()

    def remove(self) -> None:
        """Removes the checkpoints of this training."""
        for path in self._paths():
            path.unlink()
        self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        """Removes what a process left that was killed while it wrote: each checkpoint has another name."""
        for leftover in self._folder.glob(".checkpoint-*.tmp"):
            leftover.unlink()

    def _paths(self) -> list[Path]:
        """The checkpoints of this training, newest first."""
        return sorted(self._folder.glob(f"{self._prefix}*.pt"), reverse=True)


def _state(content: bytes, path: Path) -> TrainingState:
    try:
        return TrainingState(**read_torch_file(io.BytesIO(content)))
    except (TypeError, NotReadable) as error:
        raise CheckpointError(
            "Another version of mmsrec or of torch wrote this checkpoint.", where=path, found=error, fix=RESTART
        ) from error


def _digest_of(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of the weights on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}
