"""The tasks of S3-Rec's pre-training (Zhou et al., 2020): hidden items, and segments of sequences."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mmsrec.nn.companions import Companions
from mmsrec.nn.objectives import Objective, Task


@dataclass(frozen=True)
class Cloze(Objective):
    """Hidden items and their neighbours are predicted at their own places; every place predicts.

    The first column of a window is not read. So sequences have as many places as the inputs of a causal model.

    Attributes:
        mask_probability: probability that an item becomes [mask].
    """

    mask_probability: float
    causal: ClassVar[bool] = False

    def __call__(self, windows_BL: Tensor, items: int, generator: torch.Generator) -> Task:
        shown_BL = windows_BL[:, 1:]
        exists_BL = shown_BL < items
        draws_BL = torch.rand(shown_BL.shape, generator=generator).to(shown_BL.device)
        hidden_BL = exists_BL & (draws_BL < self.mask_probability)
        return Task(torch.where(hidden_BL, items, shown_BL), exists_BL, shown_BL)

    def next_item_inputs(self, histories_BL: Tensor, items: int) -> Tensor:
        """The histories themselves; the last place has the vector of the sequence."""
        return histories_BL


class Segments(Companions):
    """Draws for each sequence a segment of consecutive items, another segment, and an item for each place.

    A segment has at most half of the items, and at least one. Its length and its place are uniform. The other segment
    has the same length and stands at the same place. It comes from a random place of the step's sequences, one after
    another. `draw` returns four tensors. They have the columns of a window without its first.

    - `rest_BL`: the sequence with [mask] in place of the segment.
    - `segment_BL`: the segment, with [mask] in place of all other items.
    - `other_BL`: the other segment, with [mask] as in `segment_BL`.
    - `negative_BL`: a uniform item that is not in the sequence, for each place.

    Args:
        items: number of items; more than a window can hold.
    """

    def __init__(self, items: int) -> None:
        self._items = items

    def draw(self, batch_B: Tensor, windows_BL: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        shown_BL, device = windows_BL[:, 1:], windows_BL.device
        exists_BL = shown_BL < self._items
        length_B = exists_BL.sum(1)
        uniform_3B = torch.rand(3, len(length_B), dtype=torch.float64, generator=generator).to(device)
        segment_B = 1 + (uniform_3B[0] * (length_B // 2)).long()
        first_B = shown_BL.shape[1] - length_B + (uniform_3B[1] * (length_B - segment_B + 1)).long()
        within_BL = torch.arange(shown_BL.shape[1], device=device) - first_B[:, None]
        inside_BL = (within_BL >= 0) & (within_BL < segment_B[:, None])
        items_T = shown_BL[exists_BL]
        start_B = (uniform_3B[2] * (len(items_T) - segment_B + 1)).long()
        foreign_BL = items_T[(start_B[:, None] + within_BL).clamp(0, len(items_T) - 1)]
        alone_BL = torch.where(exists_BL & ~inside_BL, self._items, shown_BL)
        return {
            "rest_BL": torch.where(inside_BL, self._items, shown_BL),
            "segment_BL": alone_BL,
            "other_BL": torch.where(inside_BL, foreign_BL, alone_BL),
            "negative_BL": self._outside(shown_BL, generator),
        }

    def _outside(self, shown_BL: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform items [B, L] that are not in the sequences.

        Without the m distinct items of a sequence, I - m items are left. The item of number r among them is r plus the
        number of distinct items d_j (j from 0) with d_j - j <= r.
        """
        sorted_BL = shown_BL.clamp(max=self._items).sort(1).values
        new_BL = torch.ones_like(sorted_BL, dtype=torch.bool)
        new_BL[:, 1:] = sorted_BL[:, 1:] > sorted_BL[:, :-1]
        new_BL &= sorted_BL < self._items
        shifted_BL = torch.where(new_BL, sorted_BL - new_BL.cumsum(1) + 1, self._items).sort(1).values
        uniform_BL = torch.rand(shown_BL.shape, dtype=torch.float64, generator=generator).to(shown_BL.device)
        number_BL = (uniform_BL * (self._items - new_BL.sum(1, keepdim=True))).long()
        return number_BL + torch.searchsorted(shifted_BL, number_BL, right=True)
