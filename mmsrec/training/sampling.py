"""A sampled softmax computes the vectors of a step's own items alone: those in its sequences, and the negatives."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mmsrec.nn.packing import rounded
from mmsrec.nn.predictions import Negatives, Predictions
from mmsrec.nn.user_sequences import Sequences


class NegativeSampler:
    """Draws items by how often they occur in the training sequences, plus one.

    Args:
        sequences: of all users.
        ends_U: of the users' training sequences.
        items: size of the catalogue.
        count: items of a draw.
    """

    def __init__(self, sequences: Sequences, ends_U: Tensor, items: int, count: int) -> None:
        frequency_I = sequences.counts(ends_U, items) + 1
        # Of integers, since a GPU adds others up in no fixed order; on the CPU, so that every device draws the same.
        self._cumulative_I = frequency_I.cumsum(0).cpu().double()
        self._log_expected_I = (frequency_I.double() / frequency_I.sum() * count).log().float()
        self._count = count

    def draw(self, generator: torch.Generator) -> Negatives:
        """Items with repetition, by inversion of the distribution."""
        points_S = torch.rand(self._count, generator=generator, dtype=torch.float64) * self._cumulative_I[-1]
        items_S = torch.searchsorted(self._cumulative_I, points_S, right=True).to(self._log_expected_I.device)
        return Negatives(items_S, self._log_expected_I[items_S])


def own_items(groups: Sequence[Predictions], negatives: Negatives, items: int) -> tuple[list[Predictions], Tensor]:
    """The groups with indices among the items that a step needs, and those items [K], the last one perhaps repeated.

    Args:
        groups: with indices of the whole catalogue.
        negatives: likewise.
        items: size of the catalogue.
    """
    shown = [group.inputs_BL.flatten() for group in groups]
    needed = torch.cat([*shown, *(group.targets_P for group in groups), negatives.items_S]).unique()
    items_K = needed[needed < items]
    # The last one fills up the count, to one of few (see `rounded`).
    items_K = torch.cat([items_K, items_K[-1:].expand(rounded(len(items_K), items_K.device) - len(items_K))])

    def place(indices: Tensor) -> Tensor:
        # What is no item stays as far above the last item as it was.
        return torch.where(indices < items, torch.searchsorted(items_K, indices), indices - items + len(items_K))

    own = replace(negatives, items_S=place(negatives.items_S))
    placed = [
        replace(group, inputs_BL=place(group.inputs_BL), targets_P=place(group.targets_P), negatives=own)
        for group in groups
    ]
    return placed, items_K
