"""Trainings that are killed and continued, for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from mmsrec.models.recommender import TrainedRecommender
from mmsrec.settings.trainer import Trainer
from mmsrec.training import next_item
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.training.examples import walks


class Killed(Exception):
    """Ends a training."""


def without_seconds(history: list[dict[str, object]]) -> list[dict[str, object]]:
    """The rows of a history without their times."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@contextmanager
def killed_at(steps: int) -> Iterator[None]:
    """A context in which the training is killed before a step, counted from 1 over all epochs."""
    train_step, done = next_item.train_step, []

    def dies(*arguments: object) -> float:
        done.append(1)
        if len(done) == steps:
            raise Killed
        return train_step(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(next_item, "train_step", dies)
        with pytest.raises(Killed):
            yield


def assert_resumes(
    make: Callable[[], TrainedRecommender], trainer: Trainer, folder: Path, *, steps: int, save_minutes: float = 0.0
) -> None:
    """A training that is killed before a step and continues gives the weights of an uninterrupted one, bit by bit.

    Args:
        make: the model before its first step, the same each time.
        trainer: settings of the training.
        folder: folder of the checkpoints.
        steps: number of that step, counted from 1 over all epochs.
        save_minutes: time between checkpoints.
    """
    uninterrupted = finetune(make(), walks(), trainer, 3, folder / "uninterrupted", {})
    with killed_at(steps):
        finetune(make(), walks(), trainer, 3, folder / "killed", {}, save_minutes=save_minutes)
    seed_everything(99)
    resumed = finetune(make(), walks(), trainer, 3, folder / "killed", {})
    assert without_seconds(resumed.history) == without_seconds(uninterrupted.history)
    for weights in ("best", "model"):
        expected = getattr(uninterrupted, weights)
        assert all(torch.equal(tensor, expected[name]) for name, tensor in getattr(resumed, weights).items())
