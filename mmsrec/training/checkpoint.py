"""A training's state after an epoch, written atomically, and found again by what it depends on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsrec.errors import CheckpointError
from mmsrec.files import atomic_path


@dataclass
class State:
    """Attributes:
    epoch: epochs done.
    model, optimizer: their state dictionaries.
    best: the weights with the best validation metric so far, and
    best_metric, best_epoch: that metric and its epoch.
    history: one row an epoch.
    """

    epoch: int = 0
    model: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_metric: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def digest(key: Mapping[str, object]) -> str:
    """Sixteen hexadecimal digits that stand for the settings and inputs of a training."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


class Checkpoint:
    """The checkpoint of one training in `folder`; those of other settings there are removed when it is written."""

    def __init__(self, folder: Path, key: Mapping[str, object]) -> None:
        self.path = Path(folder) / f"checkpoint-{digest(key)}.pt"

    def load(self) -> State | None:
        """The saved state, or None when there is none for these settings.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not self.path.exists():
            return None
        try:
            return State(**torch.load(self.path, map_location="cpu", weights_only=True))
        except (RuntimeError, TypeError, EOFError, OSError, ValueError) as error:
            raise CheckpointError(
                "A checkpoint cannot be read.",
                where=self.path,
                found=error,
                fix="Delete it: the training then starts from the beginning.",
            ) from error

    def save(self, state: State) -> None:
        with atomic_path(self.path) as temporary:
            torch.save(vars(state), temporary)
        for other in self.path.parent.glob("checkpoint-*.pt"):
            if other != self.path:
                other.unlink()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
