"""The baseline Pop, which ranks items by their number of interactions (Section 4.2.3 of the paper)."""

import torch
from torch import Tensor

from mmsrec.models.pop_settings import PopSettings
from mmsrec.models.recommender import CountedRecommender, ModelInputs
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Trainer


class Pop(CountedRecommender):
    """The score of an item is the number of its training interactions."""

    item_rows = frozenset({"counts"})

    def __init__(self, inputs: ModelInputs, settings: PopSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, longest_history=1)
        self.register_buffer("counts", torch.zeros(inputs.items))

    def fit(self, sequences: Sequences, ends_U: Tensor) -> None:
        """Counts every action before the ends of the users' training sequences."""
        self.counts += sequences.counts(ends_U, self.items)

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The counts, as vectors of one number."""
        return EncodedItems((self.counts if items_K is None else self.counts[items_K])[:, None])

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The number one for every user."""
        return self.counts.new_ones(len(histories_BL), 1)
