"""The objectives of training on a domain: what of a sequence is shown, where predictions are made, and of what."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmsrec.models.recommender import Objective
from mmsrec.settings.experiments import Training
from mmsrec.training.masking import hide


class Task(NamedTuple):
    """Attributes:
    inputs_BL: item indices that a model is shown, right-aligned.
    predicted_BL: where it makes predictions.
    targets_BL: the items to be retrieved there.
    """

    inputs_BL: Tensor
    predicted_BL: Tensor
    targets_BL: Tensor


def _masked(windows_BL: Tensor, items: int, settings: Training, generator: torch.Generator) -> Task:
    """Hidden items are predicted at their own places (Section 3.3.3)."""
    return Task(*hide(windows_BL, items, settings.mask_probability, generator), windows_BL)


def _causal(windows_BL: Tensor, items: int, settings: Training, generator: torch.Generator) -> Task:
    """Every item but the last predicts its successor."""
    inputs_BL = windows_BL[:, :-1]
    return Task(inputs_BL, inputs_BL < items, windows_BL[:, 1:])


# Each takes windows [B, N] of sequences, the size of the catalogue, settings and a generator on the CPU.
OBJECTIVES: dict[Objective, Callable[[Tensor, int, Training, torch.Generator], Task]] = {
    "masked": _masked,
    "causal": _causal,
}
