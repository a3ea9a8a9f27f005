"""Sums of gradients in a fixed order."""

from collections.abc import Sequence

from torch import Tensor


def add_gradients(sources: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Adds gradients to those that the sources have already; None adds nothing."""
    for source, gradient in zip(sources, gradients, strict=True):
        if gradient is not None:
            # Copied, because two gradients from autograd may share memory.
            source.grad = gradient.clone() if source.grad is None else source.grad.add_(gradient)
