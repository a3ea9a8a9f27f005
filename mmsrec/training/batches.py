"""An epoch's training sequences, cut into steps, and steps cut into groups of like length."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mmsrec.experiment_rows import Training
from mmsrec.model.recommender import Predictions, TrainedRecommender
from mmsrec.model.sequences import Sequences, like_lengths
from mmsrec.training.masking import hide

SHORTEST = 2
HELD_OUT = 2  # the validation and the test item of every user
# Positions of a group, at least and at most: a group has a price of its own, which grows with the catalogue, and the
# activations of more positions leave a CPU's caches.
GROUP_POSITIONS = {"cpu": (1 << 10, 1 << 13), "cuda": (1 << 16, 1 << 18)}


@dataclass(frozen=True)
class Examples:
    """Training sequences: the actions of a user up to an end.

    Attributes:
        users_E: whose actions.
        ends_E: one past the last action, as a position in `Sequences.items_A`.
    """

    users_E: Tensor
    ends_E: Tensor


def examples(sequences: Sequences, augment: Literal["prefixes", "none"]) -> Examples:
    """Every prefix of at least two items of each user's training sequence, or that sequence alone."""
    lengths_U = sequences.ends(HELD_OUT) - sequences.offsets_U1[:-1]
    shortest_U = torch.full_like(lengths_U, SHORTEST) if augment == "prefixes" else lengths_U
    count_U = (lengths_U - shortest_U + 1).clamp(min=0) * (lengths_U >= SHORTEST)
    users_E = torch.repeat_interleave(count_U)
    within_E = torch.arange(len(users_E), device=users_E.device) - (count_U.cumsum(0) - count_U)[users_E]
    return Examples(users_E, sequences.offsets_U1[users_E] + shortest_U[users_E] + within_E)


@dataclass(frozen=True)
class Step:
    """The groups of one step of the optimiser.

    Attributes:
        groups: sequences of like length.
        sequences, positions: how many sequences, and how many predictions in them.
        useful, computed: positions that hold an item, and positions computed: their ratio is the price of padding.
    """

    groups: list[Predictions]
    sequences: int
    positions: int
    useful: int
    computed: int


def steps(
    sequences: Sequences,
    chosen: Examples,
    model: TrainedRecommender,
    settings: Training,
    generator: torch.Generator,
) -> Iterator[Step]:
    """One epoch: every example once, in a random order, `batch_size` at a time."""
    device = sequences.items_A.device
    order_E = torch.randperm(len(chosen.users_E), generator=generator).to(device)
    for batch_B in order_E.split(settings.batch_size):
        users_B, ends_B = chosen.users_E[batch_B], chosen.ends_E[batch_B]
        windows_BL = sequences.windows(users_B, ends_B, settings.max_length, model.absent)
        inputs_BL, predicted_BL = hide(windows_BL, model.items, settings.mask_probability, generator)
        lengths_B = (windows_BL < model.items).sum(1)
        groups, computed = [], 0
        least, most = GROUP_POSITIONS[device.type]
        for rows_B, length in like_lengths(lengths_B, most, least):
            rows_P, columns_P = torch.nonzero(predicted_BL[rows_B, -length:], as_tuple=True)
            targets_P = windows_BL[rows_B, -length:][rows_P, columns_P]
            groups.append(Predictions(inputs_BL[rows_B, -length:], rows_P, columns_P, targets_P))
            computed += len(rows_B) * length
        yield Step(groups, len(batch_B), int(predicted_BL.sum()), int(lengths_B.sum()), computed)
