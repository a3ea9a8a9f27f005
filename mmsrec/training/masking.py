"""Masked item prediction (Section 3.3.3 of the paper): which items of a sequence are hidden, and behind what."""

import torch
from torch import Tensor

MASKED, RANDOM = 0.8, 0.1  # shares of the hidden positions but the last; the rest keep their item


def hide(windows_BL: Tensor, items: int, mask_probability: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Hides the last item of every sequence, and each other one with a probability.

    The last is replaced by [mask]; of the others 80 % are, 10 % are replaced by an item drawn uniformly from the
    catalogue, 10 % are left as they are.

    Args:
        windows_BL: item indices, right-aligned; values of `items` and above are no items.
        items: size of the catalogue; [mask] is the index `items`.
        mask_probability: of an item that is not the last.
        generator: on the CPU, so that the draw is the same on every device.

    Returns:
        The inputs [B, L], and which positions [B, L] are to be predicted.
    """
    device = windows_BL.device
    draws_BL = torch.rand(windows_BL.shape, generator=generator).to(device)
    random_BL = torch.randint(items, windows_BL.shape, generator=generator).to(device)
    predicted_BL = (draws_BL < mask_probability) & (windows_BL < items)
    # Within those below the probability, the draw itself is uniform and decides what stands there.
    share_BL = draws_BL / mask_probability if mask_probability else draws_BL
    inputs_BL = torch.where(predicted_BL & (share_BL < MASKED), items, windows_BL)
    inputs_BL = torch.where(predicted_BL & (share_BL >= MASKED) & (share_BL < MASKED + RANDOM), random_BL, inputs_BL)
    predicted_BL[:, -1] = True
    inputs_BL[:, -1] = items
    return inputs_BL, predicted_BL
