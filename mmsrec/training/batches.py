"""An epoch's training sequences, cut into steps, and steps cut into groups of like length."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mmsrec.errors import DataError
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.user_sequences import Sequences, like_lengths
from mmsrec.settings.experiments import Training
from mmsrec.training.objectives import OBJECTIVES
from mmsrec.training.runtime import generator_of
from mmsrec.training.sampling import NegativeSampler, own_items

SHORTEST = 2
HELD_OUT = 2  # the validation and the test item of every user
# Positions of a group, at least and at most: a group has a price of its own, which grows with the catalogue, and the
# activations of more positions leave a CPU's caches.
GROUP_POSITIONS = {"cpu": (1 << 10, 1 << 13), "cuda": (1 << 17, 1 << 18)}


@dataclass(frozen=True)
class Examples:
    """Training sequences: the actions of a user up to an end.

    Attributes:
        users_E: whose actions.
        ends_E: one past the last action, as a position in `Sequences.items_A`.
    """

    users_E: Tensor
    ends_E: Tensor


def examples(sequences: Sequences, augment: Literal["prefixes", "windows", "none"], max_length: int) -> Examples:
    """What of each user's training sequence is trained on.

    Args:
        sequences: of all users.
        augment: every prefix of at least two items (`prefixes`), windows of `max_length` items that overlap by one and
            together hold the whole sequence (`windows`), or the whole sequence alone, of which a model sees the last
            `max_length` items (`none`).
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
        groups: sequences of like length.
        items_K: the items that the groups' indices count; None for the whole catalogue.
        sequences, positions: how many sequences, and how many predictions in them.
        useful, computed: positions that hold an item, and positions computed: their ratio is the price of padding.
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
        sequences: of all users.
        model: that is trained.
        settings: of the training.

    Raises:
        DataError: no sequence is long enough to be trained on.
    """

    def __init__(self, sequences: Sequences, model: TrainedRecommender, settings: Training) -> None:
        self._sequences, self._items, self._absent = sequences, model.items, model.absent
        self._task, self._settings = OBJECTIVES[model.objective], settings
        self._examples = examples(sequences, settings.augment, settings.max_length)
        if not len(self):
            raise DataError(
                "No sequence has items enough to be trained on.",
                expected=f"a user with {SHORTEST} actions before the {HELD_OUT} that are held out",
                found=f"{sequences.users:,} users with at most {int(sequences.offsets_U1.diff().max())} actions",
                fix="Prepare the domain with a larger k_core, or from more interactions.",
            )
        self._sampler = None
        if settings.sampled_items:
            self._sampler = NegativeSampler(sequences, sequences.ends(HELD_OUT), model.items, settings.sampled_items)

    def __len__(self) -> int:
        """Sequences of an epoch."""
        return len(self._examples.users_E)

    def steps(self, seed: int, epoch: int, first: int = 0) -> Iterator[Step]:
        """The steps of an epoch from the step `first` on; a step depends on nothing but (seed, epoch, step)."""
        order_E = torch.randperm(len(self), generator=generator_of(seed, epoch)).to(self._sequences.items_A.device)
        for number, batch_B in enumerate(order_E.split(self._settings.batch_size)):
            if number >= first:
                # Of the keys (a, b) and (a, b, 0) come the same draws, so that steps count from 1 here.
                yield self._step(batch_B, generator_of(seed, epoch, number + 1))

    def _step(self, batch_B: Tensor, generator: torch.Generator) -> Step:
        users_B, ends_B = self._examples.users_E[batch_B], self._examples.ends_E[batch_B]
        windows_BL = self._sequences.windows(users_B, ends_B, self._settings.max_length, self._absent)
        task = self._task(windows_BL, self._items, self._settings, generator)
        lengths_B = (task.inputs_BL != self._absent).sum(1)
        groups, computed = [], 0
        for rows_B, length in like_lengths(lengths_B, *reversed(GROUP_POSITIONS[lengths_B.device.type])):
            inputs_BL, predicted_BL, targets_BL = (part[rows_B, -length:] for part in task)
            rows_P, columns_P = torch.nonzero(predicted_BL, as_tuple=True)
            groups.append(Predictions(inputs_BL, rows_P, columns_P, targets_BL[rows_P, columns_P]))
            computed += len(rows_B) * length
        items_K = None
        if self._sampler:
            groups, items_K = own_items(groups, self._sampler.draw(generator), self._items)
        return Step(groups, items_K, len(batch_B), int(task.predicted_BL.sum()), int(lengths_B.sum()), computed)
