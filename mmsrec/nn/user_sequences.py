"""Users' sequences as one flat tensor, and windows of them built by indexing alone."""

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
        offsets_U1: where each user's actions begin, int64, one more than users.
    """

    items_A: Tensor
    offsets_U1: Tensor

    @classmethod
    def read(cls, path: Path, device: torch.device) -> "Sequences":
        """Reads sequences.parquet; errors as in `mmsrec.artifacts.read_table`."""
        column = read_table(path, SCHEMAS["sequences"]).column("items").combine_chunks()
        offsets = column.offsets.to_numpy().astype(np.int64)
        items = column.values.to_numpy().astype(np.int64)
        return cls(torch.from_numpy(items).to(device), torch.from_numpy(offsets).to(device))

    @property
    def users(self) -> int:
        return len(self.offsets_U1) - 1

    def ends(self, held_out: int) -> Tensor:
        """Where each user's sequence ends when its last `held_out` actions are kept back, as positions in items_A."""
        return self.offsets_U1[1:] - held_out

    def counts(self, ends_U: Tensor, items: int) -> Tensor:
        """How often each item occurs before the ends of the users' sequences [I]."""
        action_A = torch.arange(len(self.items_A), device=self.items_A.device)
        user_A = torch.searchsorted(self.offsets_U1, action_A, right=True) - 1
        return torch.bincount(self.items_A[action_A < ends_U[user_A]], minlength=items)

    def windows(self, users_B: Tensor, ends_B: Tensor, width: int, absent: int) -> Tensor:
        """The last `width` actions before an end, at the right edge; `absent` fills the left.

        Args:
            users_B: whose actions.
            ends_B: one past the last action of each window, as a position in items_A.
            width: columns of the result.
            absent: value of the columns before a user's first action.

        Returns:
            Item indices [B, width].
        """
        index_BL = ends_B[:, None] + torch.arange(-width, 0, device=ends_B.device)
        before_start_BL = index_BL < self.offsets_U1[users_B][:, None]
        return self.items_A[index_BL.clamp_(min=0)].masked_fill_(before_start_BL, absent)


def like_lengths(
    lengths_B: Tensor, max_tokens: int, min_tokens: int = 0, max_padding: float = 0.2
) -> Iterator[tuple[Tensor, int]]:
    """Cuts sequences into groups of like length.

    A group is closed before it would exceed `max_tokens` positions, and once it has `min_tokens` also before it would
    exceed a share `max_padding` of padding. A single sequence is always allowed.

    Yields:
        Rows of a group and its longest length; every row once.
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
