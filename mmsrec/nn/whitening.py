"""Whitens features, which are centred, decorrelated and scaled to unit variance.

The vectors of one encoder share a large common part and vary in few directions. So their projection learns slowly.
The matrix is the symmetric matrix of ZCA (Kessy, Lewin and Strimmer, 2018), with a ridge.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mmsrec.nn.threads import one_thread_each

# Share of the largest variance, added to every variance. Without it, noise in constant directions would be amplified.
RIDGE = 1e-3


class Whitening(nn.Module):
    """A fixed affine map of features [N, F], stored with the weights; the identity before it is fitted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("matrix", torch.eye(width))

    @torch.no_grad()
    @one_thread_each()
    def fit(self, parts: Iterable[Tensor]) -> None:
        """Computes mean and covariance from the rows of all parts [N, F]; there is at least one row."""
        width = len(self.mean)
        count, total = 0, torch.zeros(width, dtype=torch.float64)
        products = torch.zeros(width, width, dtype=torch.float64)
        for part in parts:
            rows = part.detach().to("cpu", torch.float64)
            count += len(rows)
            total += rows.sum(0)
            products += rows.T @ rows
        mean = total / count
        variances, directions = torch.linalg.eigh(products / count - mean.outer(mean))
        scale = (variances.clamp(min=0) + RIDGE * variances[-1]).rsqrt()
        self.mean.copy_(mean)
        self.matrix.copy_(directions @ (scale[:, None] * directions.T))

    def forward(self, vectors_NF: Tensor) -> Tensor:
        """The whitened features [N, F]."""
        # In float32, because directions with little variance are stretched, and rounding errors with them.
        with torch.autocast(vectors_NF.device.type, enabled=False):
            return (vectors_NF - self.mean) @ self.matrix
