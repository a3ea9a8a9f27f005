"""The training sequences of an epoch, cut into steps; a step is cut into groups of similar length."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mmsrec.errors import DataError
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.user_sequences import Sequences, groups_of_similar_length
from mmsrec.settings.trainer import Trainer
from mmsrec.training.runtime import generator_of
from mmsrec.training.sampling import NegativeSampler, with_step_items

SHORTEST = 2
HELD_OUT = 2  # the validation and the test item of every user
# Fewest and most positions of a group. Each group has a fixed cost that grows with the number of items. On a CPU, the
# activations of more positions leave the caches.
GROUP_POSITIONS = {"cpu": (1 << 10, 1 << 13), "cuda": (1 << 17, 1 << 18)}


@dataclass(frozen=True)
class Examples:
    """Training sequences: the actions of a user up to an end.

    Attributes:
        users_E: index of the user.
        ends_E: one past the last action, as a position in `Sequences.items_A`.
    """

    users_E: Tensor
    ends_E: Tensor


def examples(sequences: Sequences, augment: Literal["prefixes", "windows", "none"], max_length: int) -> Examples:
    """The training sequences of all users.

    Args:
        sequences: sequences of all users.
        augment: `prefixes` gives every prefix of at least two items. `windows` gives windows of `max_length` items that
            overlap by one item and together hold the whole sequence. `none` gives the whole sequence alone; a model
            sees its last `max_length` items.
        max_length: N.
    """
    lengths_U = sequences.ends(HELD_OUT) - sequences.offsets_U1[:-1]
    stride = max_length - 1
    count_U, between = {
        "prefixes": (lengths_U - 1, 1),
        "windows": (-(-(lengths_U - 1) // stride), stride),
        "none": (torch.ones_like(lengths_U), 0),
    }[augment]
    count_U = count_U.clamp(min=0) * (lengths_U >= SHORTEST)
    users_E = torch.repeat_interleave(count_U)
    from_last_E = (count_U.cumsum(0))[users_E] - 1 - torch.arange(len(users_E), device=users_E.device)
    return Examples(users_E, sequences.ends(HELD_OUT)[users_E] - from_last_E * between)


@dataclass(frozen=True)
class Step:
    """The groups of one step of the optimiser.

    Attributes:
        groups: sequences of similar length.
        items_K: the items that the indices of the groups count; None for all items.
        sequences: number of sequences.
        positions: number of predictions.
        useful: positions that hold an item.
        computed: positions with padding; `useful / computed` shows how much of the work padding wastes.
    """

    groups: list[Predictions]
    items_K: Tensor | None
    sequences: int
    positions: int
    useful: int
    computed: int


class Batches:
    """The steps of an epoch: every example once, in a random order, `batch_size` at a time.

    Args:
        sequences: sequences of all users.
        model: the model to train.
        trainer: `max_length`, `augment`, `batch_size` and `sampled_items` are read.

    Raises:
        DataError: no sequence is long enough to train on.
    """

    def __init__(self, sequences: Sequences, model: TrainedRecommender, trainer: Trainer) -> None:
        self._sequences, self._items, self._absent = sequences, model.items, model.absent
        self._objective, self._trainer = model.objective, trainer
        self._examples = examples(sequences, trainer.augment, trainer.max_length)
        if not len(self):
            raise DataError(
                "No sequence is long enough to train on.",
                expected=f"a user with {SHORTEST} actions before the {HELD_OUT} that are held out",
                found=f"{sequences.users:,} users with at most {int(sequences.offsets_U1.diff().max())} actions",
                fix="Prepare the domain with a larger k_core, or from more interactions.",
            )
        self._sampler = None
        if trainer.sampled_items:
            self._sampler = NegativeSampler(sequences, sequences.ends(HELD_OUT), model.items, trainer.sampled_items)

    def __len__(self) -> int:
        """Sequences of an epoch."""
        return len(self._examples.users_E)

    def steps(self, seed: int, epoch: int, first: int = 0) -> Iterator[Step]:
        """The steps of an epoch, from the step `first` on; a step depends on (seed, epoch, step) alone."""
        order_E = torch.randperm(len(self), generator=generator_of(seed, epoch)).to(self._sequences.items_A.device)
        for number, batch_B in enumerate(order_E.split(self._trainer.batch_size)):
            if number >= first:
                # (a, b) and (a, b, 0) give the same seed, so steps are numbered from 1.
                yield self._step(batch_B, generator_of(seed, epoch, number + 1))

    def _step(self, batch_B: Tensor, generator: torch.Generator) -> Step:
        users_B, ends_B = self._examples.users_E[batch_B], self._examples.ends_E[batch_B]
        windows_BL = self._sequences.windows(users_B, ends_B, self._trainer.max_length, self._absent)
        task = self._objective(windows_BL, self._items, generator)
        lengths_B = (task.inputs_BL != self._absent).sum(1)
        groups, computed = [], 0
        for rows_B, length in groups_of_similar_length(lengths_B, *reversed(GROUP_POSITIONS[lengths_B.device.type])):
            inputs_BL, predicted_BL, targets_BL = (part[rows_B, -length:] for part in task)
            rows_P, columns_P = torch.nonzero(predicted_BL, as_tuple=True)
            groups.append(Predictions(inputs_BL, rows_P, columns_P, targets_BL[rows_P, columns_P]))
            computed += len(rows_B) * length
        items_K = None
        if self._sampler:
            groups, items_K = with_step_items(groups, self._sampler.draw(generator), self._items)
        return Step(groups, items_K, len(batch_B), int(task.predicted_BL.sum()), int(lengths_B.sum()), computed)
