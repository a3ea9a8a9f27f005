"""The untrained content baseline, which scores items by the similarity of their features to a user's latest items."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.models.content_settings import ContentSettings
from mmsrec.models.recommender import CountedRecommender, ModelInputs
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.user_sequences import Sequences
from mmsrec.nn.whitening import Whitening
from mmsrec.settings.trainer import Trainer


class Content(CountedRecommender):
    """The score of an item is the sum, over modalities, of its cosine with the mean of the user's latest items."""

    def __init__(self, inputs: ModelInputs, settings: ContentSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, longest_history=settings.last)
        self.features = nn.ModuleDict(inputs.features)
        widths = {name: feature.vectors_IF.shape[1] for name, feature in inputs.features.items()}
        self.whitening = nn.ModuleDict({name: Whitening(width) for name, width in widths.items()})
        self._inputs = inputs

    def fit(self, sequences: Sequences, ends_U: Tensor) -> None:
        """Fits the whitening to the features; the actions of users are not read."""
        for name, whitening in self.whitening.items():
            whitening.fit([self._inputs.vectors_to_fit(name)])

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The whitened features [K, F] of all modalities, each of length one; zeros for an absent modality."""
        chosen = slice(None) if items_K is None else items_K
        parts = [
            F.normalize(self.whitening[name](feature.vectors_IF[chosen]), dim=1) * feature.present_I[chosen, None]
            for name, feature in self.features.items()
        ]
        return EncodedItems(torch.cat(parts, dim=1))

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The mean vector [B, F] of the latest items."""
        latest_BL = histories_BL[:, -self.longest_history :]
        exists_BL = latest_BL < self.items
        vectors_BLF = items.vectors_KD[latest_BL.clamp(max=self.items - 1)] * exists_BL[..., None]
        return vectors_BLF.sum(1) / exists_BL.sum(1, keepdim=True).clamp(min=1)
