"""The contrastive loss of pairs of vectors, with all other vectors of a batch as negatives."""

import torch
from torch import Tensor
from torch.nn import functional as F


def pair_loss(one_BD: Tensor, other_BD: Tensor, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al., 2018) in both directions, over the 2B vectors of both sides.

    The positive of a vector is its partner. The other 2B - 2 vectors are its negatives. The loss is thus the
    cross-entropy of the 2B x 2B dot products without the diagonal, as in DuoRec (Qiu et al., 2022).

    Args:
        one_BD, other_BD: the vectors of both sides; row i of one side is the partner of row i of the other.
        temperature: divides the dot products.

    Returns:
        The mean over the 2B vectors, a scalar.
    """
    vectors_VD = torch.cat([one_BD, other_BD]).float()
    own_VV = torch.eye(len(vectors_VD), dtype=torch.bool, device=vectors_VD.device)
    logits_VV = (vectors_VD @ vectors_VD.T / temperature).masked_fill(own_VV, -torch.inf)
    partner_V = torch.arange(len(vectors_VD), device=vectors_VD.device).roll(len(one_BD))
    return F.cross_entropy(logits_VV, partner_V)
