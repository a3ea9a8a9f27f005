"""The training sequences of an epoch, cut into steps; a step is cut into groups of similar length."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.errors import DataError, TrainingError
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.companions import Companions
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.training_sequences import HELD_OUT, SHORTEST, examples, one_of_each_user
from mmsrec.nn.user_sequences import Sequences, groups_of_similar_length
from mmsrec.settings.trainer import Trainer
from mmsrec.training.runtime import generator_of
from mmsrec.training.sampling import NegativeSampler, with_step_items

# Fewest and most positions of a group. Each group has a fixed cost that grows with the number of items. On a CPU, the
# activations of more positions leave the caches.
GROUP_POSITIONS = {"cpu": (1 << 10, 1 << 13), "cuda": (1 << 17, 1 << 18)}


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

    Under `augment: random`, the examples of an epoch are one prefix of each user.

    Args:
        sequences: sequences of all users.
        model: the model to train.
        trainer: `max_length`, `augment`, `batch_size`, `sampled_items` and `logit_adjustment` are read.
        known_K: the items that a step may read, ascending, the targets included; None for all items. No other item is
            a candidate of the softmax.

    Raises:
        DataError: no sequence is long enough to train on.
        TrainingError: a model with companions would read a part of the items, or a model that only pre-trains would
            have its logits adjusted.
    """

    def __init__(
        self,
        sequences: Sequences,
        model: TrainedRecommender,
        trainer: Trainer,
        known_K: Tensor | None = None,
    ) -> None:
        self._known_K = known_K
        if known_K is None:
            self._sequences, self._items = sequences, model.items
        else:
            # Below, an item is its place among the known items.
            self._sequences, self._items = sequences.renumbered(known_K), len(known_K)
        self._absent = self._items + 1
        self._objective, self._trainer = model.objective, trainer
        self._positions = (math.inf, math.inf) if model.whole_step else GROUP_POSITIONS[sequences.items_A.device.type]
        self._examples = examples(self._sequences, trainer.augment, trainer.max_length)
        if not len(self):
            raise DataError(
                "No sequence is long enough to train on.",
                expected=f"a user with {SHORTEST} actions before the {HELD_OUT} that are held out",
                found=f"{sequences.users:,} users with at most {int(sequences.offsets_U1.diff().max())} actions",
                fix="Prepare the domain with a larger k_core, or from more interactions.",
            )
        self._companions = self._prepared(model)
        self._prior_I = self._prior(model)
        self._sampler = None
        if trainer.sampled_items:
            ends_U = sequences.ends(HELD_OUT)
            self._sampler = NegativeSampler(self._sequences, ends_U, self._items, trainer.sampled_items)

    def _prepared(self, model: TrainedRecommender) -> Companions | None:
        companions = model.companions
        if companions is None:
            return None
        if self._trainer.sampled_items:
            raise TrainingError(
                "This model draws further inputs, whose items a sampled softmax does not encode.",
                where=type(model).__name__,
                expected="sampled_items: 0",
                found=f"sampled_items: {self._trainer.sampled_items}",
                fix="Set sampled_items to 0 in the trainer of this variant.",
            )
        if self._known_K is not None:
            raise TrainingError(
                "This model draws further inputs, whose items may be cold.",
                where=type(model).__name__,
                expected="a split without cold_items",
                found=f"a split whose training knows {len(self._known_K):,} of {model.items:,} items",
                fix="Train another model on this split.",
            )
        companions.prepare(self._sequences, self._examples)
        return companions

    def _prior(self, model: TrainedRecommender) -> Tensor | None:
        """The logarithms of the items' training counts, weighted (Menon et al., 2021); None for no adjustment."""
        weight = self._trainer.logit_adjustment
        if not weight:
            return None
        if not model.validated:
            raise TrainingError(
                "A model that only pre-trains has no softmax over items whose logits could be adjusted.",
                where=type(model).__name__,
                expected="logit_adjustment: 0",
                found=f"logit_adjustment: {weight}",
                fix="Remove logit_adjustment from the trainer of this variant.",
            )
        counts_I = self._sequences.counts(self._sequences.ends(HELD_OUT), self._items)
        return weight * (counts_I + 1).log()

    def __len__(self) -> int:
        """Sequences of an epoch."""
        users_E = self._examples.users_E
        return len(users_E.unique_consecutive() if self._trainer.augment == "random" else users_E)

    def steps(self, seed: int, epoch: int, first: int = 0) -> Iterator[Step]:
        """The steps of an epoch, from the step `first` on; a step depends on (seed, epoch, step) alone."""
        for number, batch_B in enumerate(self._order(generator_of(seed, epoch)).split(self._trainer.batch_size)):
            if number >= first:
                # (a, b) and (a, b, 0) give the same seed, so steps are numbered from 1.
                yield self._step(batch_B, generator_of(seed, epoch, number + 1))

    def _order(self, generator: torch.Generator) -> Tensor:
        """The examples of an epoch, in a random order."""
        order_E = torch.randperm(len(self), generator=generator).to(self._sequences.items_A.device)
        if self._trainer.augment == "random":
            return one_of_each_user(self._examples, generator)[order_E]
        return order_E

    def _step(self, batch_B: Tensor, generator: torch.Generator) -> Step:
        users_B, ends_B = self._examples.users_E[batch_B], self._examples.ends_E[batch_B]
        windows_BL = self._sequences.windows(users_B, ends_B, self._trainer.max_length, self._absent)
        task = self._objective(windows_BL, self._items, generator)
        drawn = self._companions.draw(batch_B, windows_BL, generator) if self._companions else {}
        lengths_B = (task.inputs_BL != self._absent).sum(1)
        groups, computed = [], 0
        for rows_B, length in groups_of_similar_length(lengths_B, *reversed(self._positions)):
            inputs_BL, predicted_BL, targets_BL = (part[rows_B, -length:] for part in task)
            rows_P, columns_P = torch.nonzero(predicted_BL, as_tuple=True)
            targets_P = targets_BL[rows_P, columns_P]
            companions = {name: tensor[rows_B] for name, tensor in drawn.items()}
            groups.append(
                Predictions(inputs_BL, rows_P, columns_P, targets_P, companions=companions, prior_K=self._prior_I)
            )
            computed += len(rows_B) * length
        items_K = self._known_K
        if self._sampler:
            groups, places_K = with_step_items(groups, self._sampler.draw(generator), self._items)
            items_K = places_K if items_K is None else items_K[places_K]
        return Step(groups, items_K, len(batch_B), int(task.predicted_BL.sum()), int(lengths_B.sum()), computed)
