"""The items of a pre-training batch, and the vectors of their views."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.nn.contrastive_loss import VIEWS
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.pairs.read import PairBatch


@dataclass(frozen=True)
class Items:
    """Features of some items, by modality.

    Attributes:
        vectors: features [N, F]; rows of items without the modality are not read.
        present: which items have the modality [N].
    """

    vectors: dict[str, Tensor]
    present: dict[str, Tensor]

    @classmethod
    def of(cls, pairs: PairBatch, device: torch.device) -> "Items":
        """Copies the pairs to a device, in their stored precision."""
        arrays = {"vision": (pairs.vision, pairs.vision_present), "text": (pairs.text, pairs.text_present)}
        tensors = {name: [torch.from_numpy(array).to(device) for array in pair] for name, pair in arrays.items()}
        return cls(*({name: pair[part] for name, pair in tensors.items()} for part in range(2)))

    def __len__(self) -> int:
        return len(next(iter(self.present.values())))

    def rows(self, rows: slice) -> "Items":
        """A slice of the items."""
        return Items(*({name: column[rows] for name, column in part.items()} for part in (self.vectors, self.present)))


def encode_views(encoder: ItemEncoder, items: Items, names: Iterable[str]) -> dict[str, Tensor]:
    """The vectors [N, D] of the items in each view, of length one.

    An item without a modality of the view gets zeros. The encoder treats a modality outside the view as absent. Every
    view draws its own dropout.
    """
    features = encoder.embedding.features({name: items.vectors[name].float() for name in encoder.modalities})
    rows = {name: _showing(items, name) for name in names}
    shown_RM = torch.cat([_shown(encoder, name, items).expand(len(rows[name]), -1) for name in rows])
    rows_R = torch.cat(list(rows.values()))
    tokens_RMD = encoder.embedding.tokens([feature_ND[rows_R] for feature_ND in features], shown_RM)
    vectors_RD = encoder.items(tokens_RMD, encoder.read_tokens(shown_RM))
    parts = vectors_RD.split([len(part) for part in rows.values()])
    return {name: _spread(part, rows[name], len(items)) for name, part in zip(rows, parts, strict=True)}


def _showing(items: Items, view: str) -> Tensor:
    return torch.stack([items.present[modality] for modality in VIEWS[view]]).all(0).nonzero().flatten()


def _shown(encoder: ItemEncoder, view: str, items: Items) -> Tensor:
    device = next(iter(items.present.values())).device
    return torch.tensor([modality in VIEWS[view] for modality in encoder.modalities], device=device)


def _spread(vectors_RD: Tensor, rows_R: Tensor, count: int) -> Tensor:
    if len(rows_R) == count:
        return vectors_RD
    return vectors_RD.new_zeros(count, vectors_RD.shape[1]).index_copy(0, rows_R, vectors_RD)
