"""Pop: the same items for every user, those with the most interactions (Section 4.2.3 of the paper)."""

import torch
from torch import Tensor

from mmsrec.model.recommender import CountedRecommender
from mmsrec.model.sequences import Sequences


class Pop(CountedRecommender):
    """Scores an item by the number of its training interactions."""

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self.register_buffer("counts", torch.zeros(items))

    @property
    def longest_history(self) -> int:
        return 1

    def fit(self, sequences: Sequences, ends_U: Tensor) -> None:
        """Counts every action before the ends of the users' training sequences."""
        action_A = torch.arange(len(sequences.items_A), device=sequences.items_A.device)
        user_A = torch.searchsorted(sequences.offsets_U1, action_A, right=True) - 1
        trained = sequences.items_A[action_A < ends_U[user_A]]
        self.counts += torch.bincount(trained, minlength=self.items)

    def catalogue(self) -> tuple[Tensor]:
        return (self.counts[:, None],)

    def user_vectors(self, catalogue: tuple[Tensor, ...], histories_BL: Tensor) -> Tensor:
        return self.counts.new_ones(len(histories_BL), 1)
