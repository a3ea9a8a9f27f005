"""The items of users' histories among the scores of a ranking."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.nn.user_sequences import Sequences


@dataclass(frozen=True)
class SeenItems:
    """The scores of seen items, each user and item once.

    Attributes:
        rows_S: rows of the users.
        places_S: places in the flat scores.
    """

    rows_S: Tensor
    places_S: Tensor

    def compared(self, scores_BI: Tensor, target_B: Tensor) -> Tensor:
        """The numbers of seen items with a score above the target's, with the same score, and of all [3, B]."""
        scores_S, target_S = scores_BI.view(-1)[self.places_S], target_B[self.rows_S]
        every_S = torch.ones_like(self.rows_S, dtype=torch.bool)
        found_3S = torch.stack([scores_S > target_S, scores_S == target_S, every_S])
        return self.rows_S.new_zeros(3, len(target_B)).index_add_(1, self.rows_S, found_3S.long())

    def hide(self, scores_BI: Tensor) -> None:
        """Gives the seen items the score -inf."""
        scores_BI.view(-1)[self.places_S] = -torch.inf


@dataclass(frozen=True)
class Histories:
    """The earlier actions of a group of users.

    Attributes:
        rows_A: the user's row in the group.
        items_A: item indices.
        numbers_A: the number of the action in its history, from 0.
    """

    rows_A: Tensor
    items_A: Tensor
    numbers_A: Tensor

    def raise_scores(self, scores_BI: Tensor, start: int, added: float) -> None:
        """Adds a number to the scores of the seen items of a tile, whose first item is `start`."""
        items = scores_BI.shape[1]
        here_A = (self.items_A >= start) & (self.items_A < start + items)
        places_S = self.rows_A[here_A] * items + self.items_A[here_A] - start
        flat = scores_BI.view(-1)
        # Repeated actions write one and the same sum.
        flat[places_S] = flat[places_S] + added

    def within(self, scores_BI: Tensor, start: int, targets_B: Tensor) -> SeenItems:
        """The seen items of a tile of scores, whose first item is `start`; the users' targets are left out.

        A sort that finds repeated actions would take longer. So each action writes its number in place of the score,
        and the action whose number remains stands for the item. Then the scores are restored.
        """
        items = scores_BI.shape[1]
        here_A = (self.items_A >= start) & (self.items_A < start + items) & (self.items_A != targets_B[self.rows_A])
        rows_S = self.rows_A[here_A]
        places_S = rows_S * items + self.items_A[here_A] - start
        numbers_S = self.numbers_A[here_A].to(scores_BI.dtype)
        flat = scores_BI.view(-1)
        scores_S = flat[places_S]
        flat[places_S] = numbers_S
        once_S = flat[places_S] == numbers_S
        flat[places_S] = scores_S
        return SeenItems(rows_S[once_S], places_S[once_S])


def histories_before(sequences: Sequences, users_B: Tensor, ends_U: Tensor) -> Histories:
    """All actions of these users before their ends."""
    starts_B, ends_B = sequences.offsets_U1[users_B], ends_U[users_B]
    lengths_B = ends_B - starts_B
    rows_A = torch.repeat_interleave(lengths_B)
    numbers_A = torch.arange(len(rows_A), device=rows_A.device) - (lengths_B.cumsum(0) - lengths_B)[rows_A]
    return Histories(rows_A, sequences.items_A[starts_B[rows_A] + numbers_A], numbers_A)
