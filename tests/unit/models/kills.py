"""A training that is killed within an epoch and continued."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch

from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Trainer
from mmsrec.training import next_item
from mmsrec.training.next_item import finetune


class Killed(Exception):
    pass


def assert_a_killed_training_ends_the_same(
    make: Callable[[], TrainedRecommender], sequences: Sequences, trainer: Trainer, folder: Path
) -> None:
    """A training that is killed before its fourth step and continued has the weights of an uninterrupted one."""
    whole = finetune(make(), sequences, trainer, 3, folder / "whole", {})
    train_step, done = next_item.train_step, []

    def dies(*arguments: object) -> float:
        done.append(1)
        if len(done) == 4:
            raise Killed
        return train_step(*arguments)

    with mock.patch.object(next_item, "train_step", dies), pytest.raises(Killed):
        finetune(make(), sequences, trainer, 3, folder / "killed", {}, save_minutes=0)
    resumed = finetune(make(), sequences, trainer, 3, folder / "killed", {}, save_minutes=0)
    assert all(torch.equal(whole.result[name], resumed.result[name]) for name in whole.result)
