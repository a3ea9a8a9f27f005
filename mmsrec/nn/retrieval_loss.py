"""The loss of a group of predictions: cross-entropy over all items, or over sampled items."""

import torch
from torch import Tensor

from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.sampled_loss import sampled_cross_entropy

REDUCED_LOGITS = 1 << 20  # on a CPU, bfloat16 is no faster for fewer logits


def retrieval_loss(queries_PD: Tensor, items_KD: Tensor, predictions: Predictions, precision: torch.dtype) -> Tensor:
    """The summed cross-entropy of the predictions, a scalar.

    Args:
        queries_PD: one vector for each prediction; a temperature is divided out beforehand.
        items_KD: one vector for each item.
        predictions: their targets; their negatives, if there are any, replace all items in the softmax; their prior,
            if there is one, is added to the logits.
        precision: precision of the matrix products where it is faster.
    """
    if predictions.prior_K is not None:
        # One more column: the product of the vectors is then the logit with its prior.
        queries_PD = torch.cat([queries_PD, queries_PD.new_ones(len(queries_PD), 1)], dim=1)
        items_KD = torch.cat([items_KD, predictions.prior_K[:, None].to(items_KD.dtype)], dim=1)
    scored = items_KD if predictions.negatives is None else predictions.negatives.items_S
    if queries_PD.device.type == "cpu" and len(queries_PD) * len(scored) < REDUCED_LOGITS:
        precision = torch.float32
    if predictions.negatives is None:
        return catalogue_cross_entropy(queries_PD, items_KD, predictions.targets_P, precision)
    return sampled_cross_entropy(queries_PD, items_KD, predictions.targets_P, predictions.negatives, precision)
