"""Softmax cross-entropy over sampled items, with the logQ correction."""

import torch
from torch import Tensor

from mmsrec.nn.loss_tiles import padded_to_tiles, scaled, tile_rows
from mmsrec.nn.predictions import Negatives


def sampled_cross_entropy(
    queries_PD: Tensor,
    items_KD: Tensor,
    targets_P: Tensor,
    negatives: Negatives,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Estimates `catalogue_cross_entropy` from sampled items.

    The logit of every negative is lowered by the logarithm of its expected number of draws. The expected sum of
    exponentials is then the sum over all items. A target counts once, as the target, and draws of it are left out
    (Bengio and Senecal, 2003; Yi et al., 2019).

    Args:
        queries_PD: one vector for each prediction.
        items_KD: one vector for each item.
        targets_P: index of the item to predict.
        negatives: sampled items, the same for every prediction.
        precision: precision of the products with the negatives; the rest is float32.

    Returns:
        The sum over the predictions, a scalar.
    """
    return _SampledCrossEntropy.apply(queries_PD, items_KD, targets_P, negatives, precision)


class _SampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, queries_PD: Tensor, items_KD: Tensor, targets_P: Tensor, negatives: Negatives, precision: torch.dtype
    ) -> Tensor:
        count, negatives_SD = len(queries_PD), items_KD[negatives.items_S].to(precision)
        rows = tile_rows(len(negatives_SD), queries_PD.device)
        queries_PD, targets_P = padded_to_tiles(queries_PD, rows), padded_to_tiles(targets_P, rows)
        queries = queries_PD.to(precision)
        targets_PD, log_expected_S = items_KD[targets_P], negatives.log_expected_S.to(precision)
        query_gradient = torch.empty_like(queries_PD)
        negative_gradient = torch.zeros(negatives_SD.shape, device=queries.device)
        target_weights_P = queries_PD.new_empty(len(queries))
        losses_P = queries_PD.new_empty(len(queries))
        for start in range(0, len(queries), rows):
            chunk = slice(start, start + rows)
            target_logits = (queries_PD[chunk] * targets_PD[chunk]).sum(1)
            logits = (queries[chunk] @ negatives_SD.T).sub_(log_expected_S)
            logits.masked_fill_(negatives.items_S == targets_P[chunk, None], -torch.inf)
            shift = torch.maximum(logits.amax(1).float(), target_logits)
            exponentials = logits.sub_(shift.to(precision)[:, None]).exp_()
            # The target's logit is shifted by the same rounded value as the negatives' logits.
            target_exponentials = (target_logits - shift.to(precision).float()).exp()
            total = exponentials.sum(1).float() + target_exponentials
            losses_P[chunk] = shift.to(precision).float() + total.log() - target_logits
            query_gradient[chunk] = (exponentials @ negatives_SD).float() / total[:, None]
            negative_gradient += exponentials.T @ (queries_PD[chunk] / total[:, None]).to(precision)
            target_weights_P[chunk] = target_exponentials / total - 1
        query_gradient.addcmul_(target_weights_P[:, None], targets_PD)
        item_gradient = torch.zeros_like(items_KD)
        item_gradient.index_add_(0, negatives.items_S, negative_gradient)
        item_gradient.index_add_(0, targets_P, target_weights_P[:, None] * queries_PD)
        ctx.save_for_backward(query_gradient[:count], item_gradient)
        return losses_P[:count].sum()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        return *scaled(ctx.saved_tensors, gradient), None, None, None
