"""Dropout whose draws on a CPU are single bytes, from a generator of the thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _ThreadState(threading.local):
    """The generator of a thread's dropout on a CPU; None for torch's own generator, which all threads share."""

    generator: torch.Generator | None = None


_state = _ThreadState()


@contextmanager
def dropout_draws_from(generator: torch.Generator) -> Iterator[None]:
    """A context in which this thread's dropout on a CPU draws from the given generator."""
    before, _state.generator = _state.generator, generator
    try:
        yield
    finally:
        _state.generator = before


def normal_draws(like: Tensor) -> Tensor:
    """Draws from N(0, 1) in the shape of a tensor, by the generator of this thread's dropout."""
    if like.device.type != "cpu":
        return torch.randn_like(like)
    return torch.empty_like(like).normal_(generator=_state.generator)


class Dropout(nn.Module):
    """Inverted dropout; on a CPU each draw is one random byte.

    torch draws one number per element on a CPU, which costs more than the matrix products around it. With bytes the
    probability is a multiple of 1/256 (0.2 becomes 0.1992). The scale uses that probability, so the expectation is
    exact.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.dropped = round(probability * 256)

    @property
    def active(self) -> bool:
        """Whether elements are set to zero now."""
        return self.training and self.dropped > 0

    def forward(self, x: Tensor) -> Tensor:
        """The input [...] with elements set to zero in training mode; the input itself otherwise."""
        if not self.active:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.probability)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
        words.random_(-(2**63), None, generator=_state.generator)
        # An in-place comparison writes 0 and 1 as bytes. Booleans would need two slow conversions.
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape).ge_(self.dropped)
        return x * kept.to(x.dtype).mul_(256 / (256 - self.dropped))
