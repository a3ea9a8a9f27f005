"""Softmax cross-entropy over all items, without a matrix of predictions x items."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mmsrec.nn import loss_tiles
from mmsrec.nn.loss_tiles import padded_to_tiles, scaled, tile_rows
from mmsrec.nn.packing import padded

# Up to this many items, a tile holds all items.
TILE_ITEMS = 1 << 15
# The rows of a tile begin at multiples of this many numbers: GPU matrix products are fast only for aligned rows.
ALIGNED = {"cpu": 1, "cuda": 64}
# Exponentials of logits up to this size, their sums and their products stay well inside the range of both precisions.
MAX_UNSHIFTED = 60.0


def catalogue_cross_entropy(
    queries_PD: Tensor, items_ID: Tensor, targets_P: Tensor, precision: torch.dtype = torch.float32
) -> Tensor:
    """The sum over the predictions of -log softmax(queries @ items.T)[target].

    The forward pass computes both gradients, tile by tile. Apart from them, memory grows with the predictions alone.
    Products with the items and their exponentials have the given precision. Sums over tiles, logarithms and the
    target's logit are float32.

    Args:
        queries_PD: one vector for each prediction; a temperature is divided out beforehand.
        items_ID: one vector for each item.
        targets_P: index of the item to predict.
        precision: precision of the matrix products, torch.float32 or torch.bfloat16.

    Returns:
        A scalar.
    """
    return _CatalogueCrossEntropy.apply(queries_PD, items_ID, targets_P, precision)


class _CatalogueCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries_PD: Tensor, items_ID: Tensor, targets_P: Tensor, precision: torch.dtype) -> Tensor:
        needed, count = any(ctx.needs_input_grad[:2]), len(queries_PD)
        queries = padded_to_tiles(queries_PD, _tile_shape(queries_PD, items_ID)[0]).to(precision)
        shift_P = None if _small(queries_PD, items_ID) else queries.new_full((len(queries),), -torch.inf).float()
        total_P = torch.zeros(len(queries), device=queries.device)
        # One tile of all items serves both the normaliser and the gradients. More tiles are computed twice.
        one_tile = len(items_ID) <= TILE_ITEMS
        if not (one_tile and needed):
            for chunk, _, _, logits in _tiles(queries, items_ID):
                _normalise(logits, _part(shift_P, chunk), total_P[chunk])
        if needed:
            query_gradient, item_gradient = padded(-items_ID[targets_P], len(queries)), torch.zeros_like(items_ID)
            for chunk, tile, items, logits in _tiles(queries, items_ID):
                shift = _part(shift_P, chunk)
                exponentials = _normalise(logits, shift, total_P[chunk]) if one_tile else _exponentials(logits, shift)
                query_gradient[chunk] += (exponentials @ items) / total_P[chunk, None]
                item_gradient[tile] += exponentials.T @ (queries[chunk] / total_P[chunk, None]).to(precision)
            item_gradient.index_add_(0, targets_P, queries_PD, alpha=-1)
            ctx.save_for_backward(query_gradient[:count], item_gradient)
        normaliser_P = total_P.log() if shift_P is None else shift_P + total_P.log()
        return normaliser_P[:count].sum() - (queries_PD * items_ID[targets_P]).sum()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *scaled(ctx.saved_tensors, gradient), None, None


def _tiles(queries: Tensor, items_ID: Tensor) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Logits tile by tile, in one buffer: each tile overwrites the tile before it.

    Yields:
        The slice of the queries, the slice of the items, these items in the precision of the queries, and the logits.
    """
    rows, columns = _tile_shape(queries, items_ID)
    buffer = queries.new_empty(min(rows, len(queries)) * _aligned(columns, queries.device))
    for first_item in range(0, len(items_ID), columns):
        tile = slice(first_item, first_item + columns)
        items = items_ID[tile].to(queries.dtype)
        # Transposed once for all queries; a matrix product would transpose the items for each tile of queries.
        width = _aligned(len(items), queries.device)
        items_DI = queries.new_empty(items.shape[1], width)[:, : len(items)].copy_(items.T)
        for first_query in range(0, len(queries), rows):
            chunk = slice(first_query, first_query + rows)
            out = buffer[: len(queries[chunk]) * width].view(-1, width)[:, : len(items)]
            yield chunk, tile, items, torch.mm(queries[chunk], items_DI, out=out)


def _aligned(columns: int, device: torch.device) -> int:
    """The distance between the starts of two rows, in numbers."""
    return -(-columns // ALIGNED[device.type]) * ALIGNED[device.type]


def _tile_shape(queries: Tensor, items_ID: Tensor) -> tuple[int, int]:
    """Rows and columns of a tile."""
    # For one number of logits, a square tile reads and writes the fewest vectors and gradients.
    square = math.isqrt(loss_tiles.TILE_ELEMENTS[queries.device.type])
    columns = len(items_ID) if len(items_ID) <= TILE_ITEMS else square
    return tile_rows(columns, queries.device), columns


def _small(queries: Tensor, items: Tensor) -> bool:
    """Whether every logit lies between -MAX_UNSHIFTED and MAX_UNSHIFTED, by the Cauchy-Schwarz inequality."""
    return bool(len(queries)) and bool(queries.norm(dim=1).amax() * items.norm(dim=1).amax() <= MAX_UNSHIFTED)


def _part(shift_P: Tensor | None, chunk: slice) -> Tensor | None:
    return None if shift_P is None else shift_P[chunk]


def _normalise(logits: Tensor, shift: Tensor | None, total: Tensor) -> Tensor:
    """Turns logits into exp(logit - shift) in place and adds their sums to the total.

    The shift becomes the largest logit so far, and the total is rescaled to it. Small logits need no shift. That saves
    two of five passes over a tile; the five take as long as its products.
    """
    if shift is not None:
        higher = torch.maximum(shift, logits.amax(1).float())
        total.mul_((shift - higher).exp_())
        shift.copy_(higher)
    exponentials = _exponentials(logits, shift)
    # torch sums bfloat16 in float32 and rounds the result. Asking for a float32 result would copy the tile first.
    total.add_(exponentials.sum(1))
    return exponentials


def _exponentials(logits: Tensor, shift: Tensor | None) -> Tensor:
    return (logits if shift is None else logits.sub_(shift[:, None].to(logits.dtype))).exp_()
