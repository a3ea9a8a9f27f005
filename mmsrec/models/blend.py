"""A blend: the weighted sum of the scores of trained models, and a score of repeats.

`mmsrec.training.blend_weights` fits the weights and the score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmsrec.models.recommender import Recommender
from mmsrec.nn.encoded_items import EncodedItems


@dataclass(frozen=True)
class BlendedItems(EncodedItems):
    """The items of a blend; `vectors_KD` joins the vectors of all parts.

    Attributes:
        parts: the items of each part.
    """

    parts: tuple[EncodedItems, ...] = ()


class Blend(Recommender):
    """Sums the scores of its parts. A vector of an item or a user joins those of the parts.

    Args:
        parts: the models, all of the same items.

    Attributes:
        parts: the models.
        weights_P: what the scores of each part are multiplied with.
        repeat: what is added to the score of an item of the user's history.
    """

    def __init__(self, parts: Sequence[Recommender]) -> None:
        super().__init__(parts[0].items, max(part.longest_history for part in parts))
        self.parts = nn.ModuleList(parts)
        self.register_buffer("weights_P", torch.ones(len(parts)))
        self.register_buffer("repeat", torch.zeros(()))
        self.item_rows = frozenset(
            f"parts.{place}.{name}" for place, part in enumerate(parts) for name in part.item_rows
        )

    @property
    def repeat_score(self) -> float:
        """The buffer `repeat`."""
        return float(self.repeat)

    def encode_items(self, items_K: Tensor | None = None) -> BlendedItems:
        """The items of each part, and their joined vectors [K, D]."""
        return _blended([part.encode_items(items_K) for part in self.parts])

    def encode_all_items(self) -> BlendedItems:
        """`encode_items()` without gradients, in parts of the items."""
        return _blended([part.encode_all_items() for part in self.parts])

    def user_vectors(self, items: BlendedItems, histories_BL: Tensor) -> Tensor:
        """The joined vectors [B, D], each part's times its weight."""
        columns = zip(self.weights_P, self.parts, items.parts, strict=True)
        return torch.cat([weight * part.user_vectors(own, histories_BL) for weight, part, own in columns], dim=1)


def _blended(parts: Sequence[EncodedItems]) -> BlendedItems:
    return BlendedItems(torch.cat([part.vectors_KD.float() for part in parts], dim=1), parts=tuple(parts))
