"""The cross-entropy of many labels that are each true or false, without a matrix of places x labels."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mmsrec.nn.loss_tiles import padded_to_tiles, scaled, tile_rows


def multi_label_loss(queries_PD: Tensor, labels_AD: Tensor, places_W: Tensor, true_W: Tensor) -> Tensor:
    """The binary cross-entropy of sigmoid(query . label), summed over all places and labels.

    It is the sum of softplus(logit) over all labels, minus the sum of the logits of the true labels. The first sum is
    made in tiles of places, together with its gradients. The second looks up the true labels alone. So neither the
    logits nor a table of the labels of all places is ever whole in memory.

    Args:
        queries_PD: one vector for each place.
        labels_AD: one vector for each label.
        places_W, true_W: the place and the label of each pair of a place with one of its true labels, in the order of
            places.

    Returns:
        A scalar.
    """
    first_P = torch.searchsorted(places_W, torch.arange(len(queries_PD), device=places_W.device))
    true_PD = F.embedding_bag(true_W, labels_AD, first_P, mode="sum")
    return _SummedSoftplus.apply(queries_PD, labels_AD) - (queries_PD * true_PD).sum()


class _SummedSoftplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries_PD: Tensor, labels_AD: Tensor) -> Tensor:
        count, rows = len(queries_PD), tile_rows(len(labels_AD), queries_PD.device)
        queries = padded_to_tiles(queries_PD, rows)
        losses_P, needed = queries.new_empty(len(queries)), any(ctx.needs_input_grad)
        query_gradient, label_gradient = torch.empty_like(queries), torch.zeros_like(labels_AD)
        for start in range(0, len(queries), rows):
            chunk = slice(start, start + rows)
            logits = queries[chunk] @ labels_AD.T
            losses_P[chunk] = F.softplus(logits).sum(1)
            if needed:
                probabilities = logits.sigmoid_()
                query_gradient[chunk] = probabilities @ labels_AD
                label_gradient.addmm_(probabilities.T, queries[chunk])
        ctx.save_for_backward(query_gradient[:count], label_gradient)
        return losses_P[:count].sum()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return scaled(ctx.saved_tensors, gradient)
