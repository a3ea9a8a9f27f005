"""Pop: the same items for every user, those with the most interactions (Section 4.2.3 of the paper)."""

import torch
from torch import Tensor

from mmsrec.models.recommender import CountedRecommender
from mmsrec.nn.user_sequences import Sequences


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
        self.counts += sequences.counts(ends_U, self.items)

    def catalogue(self, items_K: Tensor | None = None) -> tuple[Tensor]:
        return ((self.counts if items_K is None else self.counts[items_K])[:, None],)

    def user_vectors(self, catalogue: tuple[Tensor, ...], histories_BL: Tensor) -> Tensor:
        return self.counts.new_ones(len(histories_BL), 1)
