"""The sequences of all users in one flat tensor, and windows cut from them by indexing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmsrec.artifacts import SCHEMAS, read_table


@dataclass(frozen=True)
class Sequences:
    """The sequences of all users: user u has items[offsets[u]:offsets[u + 1]].

    Attributes:
        items_A: item indices of all actions, int64.
        offsets_U1: the first position of each user's actions, then the number of actions, int64.
    """

    items_A: Tensor
    offsets_U1: Tensor

    @classmethod
    def read(cls, path: Path, device: torch.device) -> "Sequences":
        """Reads sequences.parquet; raises the errors of `mmsrec.artifacts.read_table`."""
        column = read_table(path, SCHEMAS["sequences"]).column("items").combine_chunks()
        offsets = column.offsets.to_numpy().astype(np.int64)
        items = column.values.to_numpy().astype(np.int64)
        return cls(torch.from_numpy(items).to(device), torch.from_numpy(offsets).to(device))

    @property
    def users(self) -> int:
        """Number of users."""
        return len(self.offsets_U1) - 1

    def ends(self, held_out: int) -> Tensor:
        """The end of each user's sequence without its last `held_out` actions, as a position in items_A [U]."""
        return self.offsets_U1[1:] - held_out

    def counts(self, ends_U: Tensor, items: int) -> Tensor:
        """The number of actions with each item before the ends of the users' sequences [I]."""
        action_A = torch.arange(len(self.items_A), device=self.items_A.device)
        user_A = torch.searchsorted(self.offsets_U1, action_A, right=True) - 1
        return torch.bincount(self.items_A[action_A < ends_U[user_A]], minlength=items)

    def known_items(self) -> Tensor:
        """The items that occur in a training or validation part [K], ascending."""
        action_A = torch.arange(len(self.items_A), device=self.items_A.device)
        return self.items_A[~torch.isin(action_A, self.ends(1))].unique()

    def of_users(self, users_B: Tensor) -> "Sequences":
        """The sequences of some users, in the order given."""
        starts_B, lengths_B = self.offsets_U1[users_B], self.offsets_U1.diff()[users_B]
        offsets_B1 = torch.cat([lengths_B.new_zeros(1), lengths_B.cumsum(0)])
        rows_A = torch.repeat_interleave(lengths_B)
        places_A = torch.arange(len(rows_A), device=rows_A.device) - offsets_B1[rows_A]
        return Sequences(self.items_A[starts_B[rows_A] + places_A], offsets_B1)

    def renumbered(self, known_K: Tensor) -> "Sequences":
        """The sequences with each item's place in `known_K`, which ascends; other items become K + 1, as padding."""
        places_A = torch.searchsorted(known_K, self.items_A).clamp(max=len(known_K) - 1)
        is_known_A = known_K[places_A] == self.items_A
        return Sequences(torch.where(is_known_A, places_A, len(known_K) + 1), self.offsets_U1)

    def windows(self, users_B: Tensor, ends_B: Tensor, width: int, absent: int) -> Tensor:
        """The last `width` actions before an end, right-aligned.

        Args:
            users_B: index of the user of each window.
            ends_B: one past the last action of each window, as a position in items_A.
            width: columns of the result.
            absent: value of the padding before a user's first action.

        Returns:
            Item indices [B, width].
        """
        index_BL = ends_B[:, None] + torch.arange(-width, 0, device=ends_B.device)
        before_start_BL = index_BL < self.offsets_U1[users_B][:, None]
        return self.items_A[index_BL.clamp_(min=0)].masked_fill_(before_start_BL, absent)


def groups_of_similar_length(
    lengths_B: Tensor, max_tokens: int, min_tokens: int = 0, max_padding: float = 0.2
) -> Iterator[tuple[Tensor, int]]:
    """Cuts sequences into groups of similar length.

    A group ends before it would exceed `max_tokens` positions. A group with at least `min_tokens` items also ends
    before its share of padding would exceed `max_padding`. A group may always hold one sequence.

    Yields:
        Indices of the sequences of a group, and their largest length; every index once.
    """
    order_B = torch.argsort(lengths_B, stable=True)
    lengths = lengths_B[order_B].tolist()
    start, useful = 0, 0
    for end, length in enumerate(lengths):
        computed = (end + 1 - start) * length
        padded = useful >= min_tokens and computed - useful - length > max_padding * computed
        if end > start and (computed > max_tokens or padded):
            yield order_B[start:end], lengths[end - 1]
            start, useful = end, 0
        useful += length
    if lengths:
        yield order_B[start:], lengths[-1]
