"""Softmax cross-entropy over a whole catalogue that never holds a users x items matrix."""

import torch
from torch import Tensor

from mmsrec.model.recommender import Negatives, Predictions

# Logits held at a time: what a CPU's last cache level holds, and what fills a GPU.
TILE_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 27}
TILE_ITEMS = 1 << 16


def retrieval_loss(queries_PD: Tensor, items_KD: Tensor, predictions: Predictions, precision: torch.dtype) -> Tensor:
    """The summed cross-entropy of the predictions: over all items, or over those drawn as negatives."""
    if predictions.negatives is None:
        return catalogue_cross_entropy(queries_PD, items_KD, predictions.targets_P, precision)
    return sampled_cross_entropy(queries_PD, items_KD, predictions.targets_P, predictions.negatives, precision)


def sampled_cross_entropy(
    queries_PD: Tensor,
    items_KD: Tensor,
    targets_P: Tensor,
    negatives: Negatives,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """An estimate of `catalogue_cross_entropy` from some items, which stand for all by the logQ correction.

    Every negative's logit is lowered by the logarithm of how often it is expected among the draws, so that the
    expectation of the sum of exponentials is that over all items. A target counts once, as itself, and its draws are
    left out (Bengio and Senecal, 2003; Yi et al., 2019).

    Args:
        queries_PD: one vector a prediction.
        items_KD: one vector an item.
        targets_P: index of the item to be retrieved.
        negatives: items drawn, the same for every prediction.
        precision: of the products with the negatives; all else is float32.

    Returns:
        A scalar.
    """
    return _SampledCrossEntropy.apply(queries_PD, items_KD, targets_P, negatives, precision)


def catalogue_cross_entropy(
    queries_PD: Tensor, items_ID: Tensor, targets_P: Tensor, precision: torch.dtype = torch.float32
) -> Tensor:
    """The sum over predictions of -log softmax(queries @ items.T)[target].

    Both gradients are made in the forward pass, tile by tile, so that memory grows with predictions + items and not
    with their product. The products with the items run in `precision`; sums, logarithms and the target's logit in
    float32.

    Args:
        queries_PD: one vector a prediction; a temperature is divided out of it beforehand.
        items_ID: one vector an item.
        targets_P: index of the item to be retrieved.
        precision: of the matrix products, torch.float32 or torch.bfloat16.

    Returns:
        A scalar.
    """
    return _CatalogueCrossEntropy.apply(queries_PD, items_ID, targets_P, precision)


class _CatalogueCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries_PD: Tensor, items_ID: Tensor, targets_P: Tensor, precision: torch.dtype) -> Tensor:
        needed = any(ctx.needs_input_grad[:2])
        queries, items = queries_PD.to(precision), items_ID.to(precision)
        columns = min(len(items), TILE_ITEMS)
        rows = max(1, TILE_ELEMENTS[queries.device.type] // max(columns, 1))
        buffer = torch.empty(min(rows, len(queries)) * columns, dtype=precision, device=queries.device)
        query_gradient = torch.zeros_like(queries_PD) if needed else None
        item_gradient = torch.zeros_like(items_ID) if needed else None

        target_logits_P = (queries_PD * items_ID[targets_P]).sum(1)
        loss = -target_logits_P.sum()
        for start in range(0, len(queries), rows):
            chunk = slice(start, start + rows)
            loss += _chunk(
                queries[chunk],
                items,
                columns,
                buffer,
                query_gradient[chunk] if needed else None,
                item_gradient,
            )
        if needed:
            query_gradient -= items_ID[targets_P]
            item_gradient.index_add_(0, targets_P, queries_PD, alpha=-1)
            ctx.save_for_backward(query_gradient, item_gradient)
        return loss

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query_gradient, item_gradient = ctx.saved_tensors
        return query_gradient * gradient, item_gradient * gradient, None, None


class _SampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, queries_PD: Tensor, items_KD: Tensor, targets_P: Tensor, negatives: Negatives, precision: torch.dtype
    ) -> Tensor:
        queries, negatives_SD = queries_PD.to(precision), items_KD[negatives.items_S].to(precision)
        targets_PD, log_expected_S = items_KD[targets_P], negatives.log_expected_S.to(precision)
        rows = max(1, TILE_ELEMENTS[queries.device.type] // len(negatives_SD))
        query_gradient = torch.empty_like(queries_PD)
        negative_gradient = torch.zeros(negatives_SD.shape, device=queries.device)
        target_weights_P = queries_PD.new_empty(len(queries))
        loss = queries_PD.new_zeros(())
        for start in range(0, len(queries), rows):
            chunk = slice(start, start + rows)
            target_logits = (queries_PD[chunk] * targets_PD[chunk]).sum(1)
            logits = (queries[chunk] @ negatives_SD.T).sub_(log_expected_S)
            logits.masked_fill_(negatives.items_S == targets_P[chunk, None], -torch.inf)
            shift = torch.maximum(logits.amax(1).float(), target_logits)
            exponentials = logits.sub_(shift.to(precision)[:, None]).exp_()
            # What was subtracted is the rounded value.
            target_exponentials = (target_logits - shift.to(precision).float()).exp()
            total = exponentials.sum(1).float() + target_exponentials
            loss += (shift.to(precision).float() + total.log() - target_logits).sum()
            query_gradient[chunk] = (exponentials @ negatives_SD).float() / total[:, None]
            negative_gradient += exponentials.T @ (queries_PD[chunk] / total[:, None]).to(precision)
            target_weights_P[chunk] = target_exponentials / total - 1
        query_gradient.addcmul_(target_weights_P[:, None], targets_PD)
        item_gradient = torch.zeros_like(items_KD)
        item_gradient.index_add_(0, negatives.items_S, negative_gradient)
        item_gradient.index_add_(0, targets_P, target_weights_P[:, None] * queries_PD)
        ctx.save_for_backward(query_gradient, item_gradient)
        return loss

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        query_gradient, item_gradient = ctx.saved_tensors
        return query_gradient * gradient, item_gradient * gradient, None, None, None


def _chunk(
    queries: Tensor,
    items: Tensor,
    columns: int,
    buffer: Tensor,
    query_gradient: Tensor | None,
    item_gradient: Tensor | None,
) -> Tensor:
    """The sum of log normalisers of some queries; adds to the gradients of that sum."""
    tiles = [slice(start, start + columns) for start in range(0, len(items), columns)]
    # With one tile its exponentials serve both the normaliser and the gradients; with more they are made twice.
    shift, total = _normaliser(queries, items, tiles, buffer) if len(tiles) > 1 else (None, None)
    if query_gradient is None and shift is not None:
        return (shift + total.log()).sum()
    mixed = torch.zeros(queries.shape, dtype=torch.float32, device=queries.device)
    weighted = None
    for tile in tiles:
        logits = _logits(queries, items[tile], buffer)
        if shift is None:
            shift = logits.amax(1).float()
        exponentials = logits.sub_(shift.to(logits.dtype)[:, None]).exp_()
        if total is None:
            total = exponentials.sum(1).float()
        if query_gradient is not None:
            if weighted is None:
                weighted = (queries.float() / total[:, None]).to(queries.dtype)
            mixed += exponentials @ items[tile]
            item_gradient[tile] += exponentials.T @ weighted
    if query_gradient is not None:
        query_gradient += mixed / total[:, None]
    return (shift.to(queries.dtype).float() + total.log()).sum()


def _logits(queries: Tensor, items: Tensor, buffer: Tensor) -> Tensor:
    out = buffer[: len(queries) * len(items)].view(len(queries), len(items))
    return torch.mm(queries, items.T, out=out)


def _normaliser(queries: Tensor, items: Tensor, tiles: list[slice], buffer: Tensor) -> tuple[Tensor, Tensor]:
    """The largest logit of each query and the sum of exp(logit - largest), over all tiles."""
    shift = torch.full((len(queries),), -torch.inf, dtype=torch.float32, device=queries.device)
    total = torch.zeros_like(shift)
    for tile in tiles:
        logits = _logits(queries, items[tile], buffer)
        higher = torch.maximum(shift, logits.amax(1).float())
        total = total * (shift - higher).exp()
        total += logits.sub_(higher.to(logits.dtype)[:, None]).exp_().sum(1, dtype=torch.float32)
        shift = higher
    return shift, total
