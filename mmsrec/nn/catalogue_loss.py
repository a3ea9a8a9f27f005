"""Softmax cross-entropy over a whole catalogue that never holds a users x items matrix."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mmsrec.nn.packing import filled, rounded
from mmsrec.nn.predictions import Negatives, Predictions

REDUCED_LOGITS = 1 << 20  # a CPU's products of fewer logits gain nothing from bfloat16
# Logits held at a time: what a CPU's last cache level holds, and what fills a GPU.
TILE_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 27}
# And rows of them: more would not pay for leaving a core's own cache.
TILE_ROWS = {"cpu": 1 << 9, "cuda": 1 << 20}
# A catalogue up to this size is as wide as a tile.
TILE_ITEMS = 1 << 15
TILE_STEP = 64  # of the rows of a tile
# Numbers between the rows of a tile are a multiple of this: a GPU has no fast products of rows that begin anywhere.
ALIGNED = {"cpu": 1, "cuda": 64}
# Exponentials of logits up to this, and sums and products of them, are far from the ends of both precisions' range.
UNSHIFTED = 60.0


def retrieval_loss(queries_PD: Tensor, items_KD: Tensor, predictions: Predictions, precision: torch.dtype) -> Tensor:
    """The summed cross-entropy of the predictions: over all items, or over those drawn as negatives."""
    scored = items_KD if predictions.negatives is None else predictions.negatives.items_S
    if queries_PD.device.type == "cpu" and len(queries_PD) * len(scored) < REDUCED_LOGITS:
        precision = torch.float32
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

    Both gradients are made in the forward pass, tile by tile: beside them memory grows with the predictions alone. The
    products with the items and their exponentials are of `precision`; sums over tiles, logarithms and the target's
    logit are float32.

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
        needed, count = any(ctx.needs_input_grad[:2]), len(queries_PD)
        # Queries of zeros fill up the last tile, so that all tiles have one shape; they add nothing to a gradient.
        queries = _filled_up(queries_PD, _tile(queries_PD, items_ID)[0]).to(precision)
        shift_P = None if _small(queries_PD, items_ID) else queries.new_full((len(queries),), -torch.inf).float()
        total_P = torch.zeros(len(queries), device=queries.device)
        # With one tile its exponentials serve both the normaliser and the gradients; with more they are made twice.
        whole = len(items_ID) <= TILE_ITEMS
        if not (whole and needed):
            for chunk, _, _, logits in _tiles(queries, items_ID):
                _normalise(logits, _of(shift_P, chunk), total_P[chunk])
        if needed:
            query_gradient, item_gradient = filled(-items_ID[targets_P], len(queries)), torch.zeros_like(items_ID)
            for chunk, tile, items, logits in _tiles(queries, items_ID):
                shift = _of(shift_P, chunk)
                exponentials = _normalise(logits, shift, total_P[chunk]) if whole else _exponentials(logits, shift)
                query_gradient[chunk] += (exponentials @ items) / total_P[chunk, None]
                item_gradient[tile] += exponentials.T @ (queries[chunk] / total_P[chunk, None]).to(precision)
            item_gradient.index_add_(0, targets_P, queries_PD, alpha=-1)
            ctx.save_for_backward(query_gradient[:count], item_gradient)
        normaliser_P = total_P.log() if shift_P is None else shift_P + total_P.log()
        return normaliser_P[:count].sum() - (queries_PD * items_ID[targets_P]).sum()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *_scaled(ctx.saved_tensors, gradient), None, None


class _SampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, queries_PD: Tensor, items_KD: Tensor, targets_P: Tensor, negatives: Negatives, precision: torch.dtype
    ) -> Tensor:
        count, negatives_SD = len(queries_PD), items_KD[negatives.items_S].to(precision)
        rows = _rows(queries_PD, len(negatives_SD))
        queries_PD, targets_P = _filled_up(queries_PD, rows), _filled_up(targets_P, rows)
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
            # What was subtracted is the rounded value.
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
        return *_scaled(ctx.saved_tensors, gradient), None, None, None


def _tiles(queries: Tensor, items_ID: Tensor) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Logits tile by tile, each in place of the one before it.

    Yields:
        Which queries and which items, those items in the precision of the queries, and their logits.
    """
    rows, columns = _tile(queries, items_ID)
    buffer = queries.new_empty(min(rows, len(queries)) * _aligned(columns, queries.device))
    for first_item in range(0, len(items_ID), columns):
        tile = slice(first_item, first_item + columns)
        items = items_ID[tile].to(queries.dtype)
        # Once for all queries, because a matrix product would do it for each tile of them.
        width = _aligned(len(items), queries.device)
        items_DI = queries.new_empty(items.shape[1], width)[:, : len(items)].copy_(items.T)
        for first_query in range(0, len(queries), rows):
            chunk = slice(first_query, first_query + rows)
            out = buffer[: len(queries[chunk]) * width].view(-1, width)[:, : len(items)]
            yield chunk, tile, items, torch.mm(queries[chunk], items_DI, out=out)


def _aligned(columns: int, device: torch.device) -> int:
    """How many numbers lie from the start of a row to that of the next, so that products are fast."""
    return -(-columns // ALIGNED[device.type]) * ALIGNED[device.type]


def _tile(queries: Tensor, items_ID: Tensor) -> tuple[int, int]:
    """Rows and columns of a tile."""
    # Of all tiles of a size a square one reads and writes the fewest vectors and gradients.
    square = math.isqrt(TILE_ELEMENTS[queries.device.type])
    columns = len(items_ID) if len(items_ID) <= TILE_ITEMS else square
    return _rows(queries, columns), columns


def _rows(queries: Tensor, columns: int) -> int:
    device = queries.device.type
    rows = min(TILE_ELEMENTS[device] // columns, TILE_ROWS[device])
    return max(1, rows - rows % TILE_STEP if rows > TILE_STEP else rows)


def _filled_up(x: Tensor, rows: int) -> Tensor:
    """To a multiple of `rows`; what is less than that, to one of few counts."""
    count = rounded(len(x), x.device)
    return filled(x, count if count < rows else -(-len(x) // rows) * rows)


def _small(queries: Tensor, items: Tensor) -> bool:
    """Whether no logit can be larger than UNSHIFTED, either way (by Cauchy and Schwarz)."""
    return bool(len(queries)) and bool(queries.norm(dim=1).amax() * items.norm(dim=1).amax() <= UNSHIFTED)


def _of(shift_P: Tensor | None, chunk: slice) -> Tensor | None:
    return None if shift_P is None else shift_P[chunk]


def _normalise(logits: Tensor, shift: Tensor | None, total: Tensor) -> Tensor:
    """Turns logits into exp(logit - shift), and adds their sums to the total.

    The shift becomes the largest logit so far, and the total follows it. Small logits need none, and without it two of
    the five passes over a tile, which take as long as its products.
    """
    if shift is not None:
        higher = torch.maximum(shift, logits.amax(1).float())
        total.mul_((shift - higher).exp_())
        shift.copy_(higher)
    exponentials = _exponentials(logits, shift)
    # Of bfloat16 the sum is made in float32 and then rounded, which the logits were before; one asked for in float32
    # would first copy the tile.
    total.add_(exponentials.sum(1))
    return exponentials


def _exponentials(logits: Tensor, shift: Tensor | None) -> Tensor:
    return (logits if shift is None else logits.sub_(shift[:, None].to(logits.dtype))).exp_()


def _scaled(gradients: tuple[Tensor, ...], factor: Tensor) -> tuple[Tensor, ...]:
    """The gradients themselves, scaled: copies would double the memory that grows with the catalogue."""
    return tuple(gradient.mul_(factor) for gradient in gradients)
