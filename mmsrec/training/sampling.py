"""Negatives of a sampled softmax. A step then encodes only the items in its sequences and its negatives."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mmsrec.nn.packing import rounded
from mmsrec.nn.predictions import Negatives, Predictions
from mmsrec.nn.user_sequences import Sequences


class NegativeSampler:
    """Draws items in proportion to the number of their training interactions plus one.

    Args:
        sequences: sequences of all users.
        ends_U: ends of the users' training sequences.
        items: number of items.
        count: draws a step.
    """

    def __init__(self, sequences: Sequences, ends_U: Tensor, items: int, count: int) -> None:
        frequency_I = sequences.counts(ends_U, items) + 1
        # Integers, because a GPU adds other numbers in no fixed order. On the CPU, so that every device draws the same.
        self._cumulative_I = frequency_I.cumsum(0).cpu().double()
        self._log_expected_I = (frequency_I.double() / frequency_I.sum() * count).log().float()
        self._count = count

    def draw(self, generator: torch.Generator) -> Negatives:
        """Draws with repetition, by inversion of the cumulative distribution."""
        points_S = torch.rand(self._count, generator=generator, dtype=torch.float64) * self._cumulative_I[-1]
        items_S = torch.searchsorted(self._cumulative_I, points_S, right=True).to(self._log_expected_I.device)
        return Negatives(items_S, self._log_expected_I[items_S])


def with_step_items(
    groups: Sequence[Predictions], negatives: Negatives, items: int
) -> tuple[list[Predictions], Tensor]:
    """The groups with indices among the items that a step needs, and these items [K].

    Args:
        groups: groups with indices among all items.
        negatives: negatives with indices among all items.
        items: number of items.
    """
    shown = [group.inputs_BL.flatten() for group in groups]
    needed = torch.cat([*shown, *(group.targets_P for group in groups), negatives.items_S]).unique()
    items_K = needed[needed < items]
    # The last item is repeated up to a `rounded` count, so that there are few shapes.
    items_K = torch.cat([items_K, items_K[-1:].expand(rounded(len(items_K), items_K.device) - len(items_K))])

    def renumbered(indices: Tensor) -> Tensor:
        # [mask] and padding keep their distance from the last item.
        return torch.where(indices < items, torch.searchsorted(items_K, indices), indices - items + len(items_K))

    own = replace(negatives, items_S=renumbered(negatives.items_S))
    return [
        replace(
            group,
            inputs_BL=renumbered(group.inputs_BL),
            targets_P=renumbered(group.targets_P),
            negatives=own,
            prior_K=None if group.prior_K is None else group.prior_K[items_K],
        )
        for group in groups
    ], items_K
