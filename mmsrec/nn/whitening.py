"""Whitening of features: centred, decorrelated and of unit variance.

Vectors of one encoder share a large common part and vary in few directions, so that a projection of them learns slowly.
The matrix is the symmetric one of ZCA (Kessy, Lewin and Strimmer, 2018), with a ridge.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Of the largest variance: directions that vary less are damped, not blown up.
RIDGE = 1e-3


class Whitening(nn.Module):
    """A fixed affine map of features, whose statistics are part of the weights; the identity until it is fitted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("matrix", torch.eye(width))

    @torch.no_grad()
    def fit(self, parts: Iterable[Tensor]) -> None:
        """Takes mean and covariance from the rows of all parts [N, F]; at least one row in all."""
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
        # Directions that vary little are stretched, and with them what rounding would do to them.
        with torch.autocast(vectors_NF.device.type, enabled=False):
            return (vectors_NF - self.mean) @ self.matrix
