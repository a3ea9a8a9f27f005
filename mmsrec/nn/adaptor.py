"""UniSRec's adaptor, which turns features of items into vectors by a mixture of projections (Hou et al., 2022)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.nn.dropout import Dropout, normal_draws
from mmsrec.nn.precision import reduced_precision

LEAST_NOISE = 0.01  # least standard deviation of the gates' noise


class Expert(nn.Module):
    """A projection without bias of centred features, as a whitening that is learned."""

    def __init__(self, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.centre = nn.Parameter(torch.zeros(width))
        self.project = nn.Linear(width, dim, bias=False)

    def forward(self, features_KF: Tensor) -> Tensor:
        """Projected features [K, D]."""
        return self.project(self.dropout(features_KF) - self.centre)


class Adaptor(nn.Module):
    """Mixes the experts of an item by gates, a softmax over linear maps of its features.

    In training, each gate's logit has Gaussian noise, whose standard deviation is a second linear map of the features.
    Both maps are zero at the start, so that all experts begin with equal gates.

    Args:
        width: width F of the features.
        dim: width D of the vectors.
        experts: number of experts E.
        dropout: probability, of the features in front of each expert.
        precision: precision of the experts' matrix products.
    """

    def __init__(self, width: int, dim: int, experts: int, dropout: float, precision: torch.dtype) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Expert(width, dim, dropout) for _ in range(experts))
        self.gates = nn.Parameter(torch.zeros(width, experts))
        self.noise = nn.Parameter(torch.zeros(width, experts))
        self._precision = precision

    def forward(self, features_KF: Tensor) -> Tensor:
        """Vectors [K, D] of items, not normalised."""
        gates_KE = self.mixture(features_KF)
        mixed_KD = 0
        for expert, gate_K in zip(self.experts, gates_KE.unbind(1), strict=True):
            with reduced_precision(self._precision, features_KF.device, len(features_KF)):
                projected_KD = expert(features_KF)
            mixed_KD = mixed_KD + gate_K[:, None] * projected_KD.float()
        return mixed_KD

    def mixture(self, features_KF: Tensor) -> Tensor:
        """The share of each expert in each item's vector [K, E]."""
        logits_KE = features_KF @ self.gates
        if self.training:
            deviation_KE = F.softplus(features_KF @ self.noise) + LEAST_NOISE
            logits_KE = logits_KE + normal_draws(logits_KE) * deviation_KE
        return logits_KE.softmax(1)
