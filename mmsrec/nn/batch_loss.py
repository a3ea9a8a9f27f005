"""Softmax cross-entropy of each query over the keys of one batch (Hou et al., 2022)."""

import torch
from torch import Tensor


def batch_cross_entropy(queries_PD: Tensor, keys_PD: Tensor, targets_P: Tensor, temperature: float) -> Tensor:
    """The sum over the queries of -log softmax(queries @ keys.T / temperature)[own key].

    The key of another query with the same target is no negative. As in the original, its logit becomes 0 before the
    exponential, so it still adds exp(0) = 1 to the sum.

    Args:
        queries_PD: one vector for each prediction, of length one.
        keys_PD: the key of each query, of length one.
        targets_P: the item that each query predicts.
        temperature: divides the cosines.

    Returns:
        A scalar.
    """
    logits_PP = (queries_PD / temperature) @ keys_PD.T
    same_PP = targets_P[:, None] == targets_P
    same_PP.fill_diagonal_(False)
    logits_PP = logits_PP.masked_fill(same_PP, 0.0)
    return (torch.logsumexp(logits_PP, 1) - logits_PP.diagonal()).sum()
