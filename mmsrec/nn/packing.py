"""Packs the items of sequences into the rows of one matrix, so that matrix products skip padding."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

GPU_STEP = 64  # rows
# A grid is built where no sequence predicts at more than this share of its places. Without it, a masked training step
# takes 8 to 9 % more CPU time on ML-1M (N 100, batch 128). On Beauty (N 20, batch 1024), it takes about 1 % more.
MAX_GRID_SHARE = 0.75


def rounded(rows: int, device: torch.device) -> int:
    """Rounds a number of rows up to one of few counts.

    On a CPU, the result is at most an eighth larger. On a GPU, it is the next multiple of 64.

    On a CPU, oneDNN compiles code for every new shape of a product, which can take longer than the product itself. Few
    counts give few shapes. GPU products are fast for multiples of a power of two.
    """
    step = GPU_STEP if device.type != "cpu" else 1 << max(0, rows.bit_length() - 4)
    return -(-rows // step) * step


def padded(x: Tensor, rows: int) -> Tensor:
    """The rows of `x`, then zeros, to `rows` rows in all; `x` itself if it has as many."""
    return torch.cat([x, x.new_zeros(rows - len(x), *x.shape[1:])]) if rows > len(x) else x


class RowSelection(NamedTuple):
    """A selection of rows, in any order.

    Attributes:
        sources: the source row of each result row.
        results: the result row of each source row. It is -1 for a source row that is not selected: its gradient is
            zero. Padding rows of the result are in no entry, so they pass no gradient on.
    """

    sources: Tensor
    results: Tensor

    def select(self, x: Tensor) -> Tensor:
        """The selected rows. Forward and backward only read by index: fast, and with one order of sums on a GPU."""
        return _Select.apply(x, self.sources, self.results)


class _Select(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, sources: Tensor, results: Tensor) -> Tensor:
        ctx.save_for_backward(results)
        return x.index_select(0, sources)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (results,) = ctx.saved_tensors
        source_gradient = gradient.index_select(0, results.clamp(min=0))
        not_selected = (results < 0).view(-1, *(1,) * (source_gradient.dim() - 1))
        return source_gradient.masked_fill_(not_selected, 0.0), None, None


class QueryGrid(NamedTuple):
    """The predicted places of each sequence side by side [B, Q], so that attention computes no other queries.

    Attributes:
        shape: B and Q, the largest number of predictions in a sequence.
        columns_BQ: the column of each cell's place. Cells that a sequence does not need repeat some column.
        to_cells: selects the cells from the predicted rows [R].
        from_cells: selects the predicted rows [R] from the cells.
    """

    shape: torch.Size
    columns_BQ: Tensor
    to_cells: RowSelection
    from_cells: RowSelection

    def cells(self, x_R: Tensor) -> Tensor:
        """Predicted rows [R, ...] in their cells [B, Q, ...]."""
        return self.to_cells.select(x_R).unflatten(0, self.shape)

    def predicted(self, x_BQ: Tensor) -> Tensor:
        """The predicted rows [R, ...] of cells [B, Q, ...]."""
        return self.from_cells.select(x_BQ.flatten(0, 1))

    def mask(self, mask: Tensor | None, tokens_per_item: int) -> Tensor | None:
        """The part [B, 1, Q * M, T] of an attention mask for the cells' queries, with M tokens per cell."""
        if mask is None or mask.shape[-2] == 1:
            return mask
        token_M = torch.arange(tokens_per_item, device=mask.device)
        query_BT = (self.columns_BQ[..., None] * tokens_per_item + token_M).flatten(1)
        rows_B1 = torch.arange(len(query_BT), device=mask.device)[:, None]
        return mask.expand(len(query_BT), 1, *mask.shape[-2:])[rows_B1, 0, query_BT][:, None]


class Packing:
    """Indices between the places of sequences [B, L], packed rows [N] and predicted rows [R].

    A place is a row and a column of the sequences, numbered row by row. The counts N and R are `rounded`. Padding rows
    repeat some item, and no result is read from them.

    Args:
        exists_BL: the places that hold an item.
        rows_P, columns_P: the places whose hidden states are predicted from, all different, in the order of places.
        every_place: every place becomes a row, so that N does not depend on the lengths of the sequences.

    Attributes:
        shape: B and L.
        place_N: the place of each packed row.
        place_R: the place of each predicted row.
        predictions: P, the number of predicted rows before the padding.
        grid: the predicted places side by side; None where a sequence predicts at most of its places.
    """

    def __init__(self, exists_BL: Tensor, rows_P: Tensor, columns_P: Tensor, *, every_place: bool = False) -> None:
        self.shape, self.predictions = exists_BL.shape, len(rows_P)
        exists_S = torch.ones_like(exists_BL).flatten() if every_place else exists_BL.flatten()
        device = exists_S.device
        place_n = exists_S.nonzero().flatten()
        self.place_N = padded(place_n, rounded(len(place_n), device))
        row_S = torch.where(exists_S, exists_S.cumsum(0) - 1, -1)
        place_P = rows_P * self.shape[1] + columns_P
        self.place_R = padded(place_P, rounded(self.predictions, device))
        predicted_S = _positions_in(place_P, len(row_S))
        predicted_N = predicted_S[self.place_N]
        predicted_N[len(place_n) :] = -1
        # A place without an item holds some row, which the attention mask hides.
        self._places = RowSelection(row_S.clamp(min=0), _without_padding(self.place_N, len(place_n)))
        self._rows = RowSelection(self.place_N, row_S)
        self._predicted_rows = RowSelection(row_S.clamp(min=0)[self.place_R], predicted_N)
        self._predicted_places = RowSelection(self.place_R, predicted_S)
        # Rows equal places if every place holds an item: then nothing is looked up.
        self._full = len(place_n) == len(exists_S)
        self.grid = self._grid(rows_P, columns_P)

    def unpack(self, x_N: Tensor) -> Tensor:
        """The places [B, L, ...] of packed rows [N, ...]."""
        x_S = x_N[: self.shape.numel()] if self._full else self._places.select(x_N)
        return x_S.unflatten(0, self.shape)

    def pack(self, x_BL: Tensor) -> Tensor:
        """The packed rows [N, ...] of places [B, L, ...]."""
        x_S = x_BL.flatten(0, 1)
        return padded(x_S, len(self.place_N)) if self._full else self._rows.select(x_S)

    def predicted_from_rows(self, x_N: Tensor) -> Tensor:
        """The predicted rows [R, ...] of packed rows [N, ...]."""
        return self._predicted_rows.select(x_N)

    def predicted_from_places(self, x_BL: Tensor) -> Tensor:
        """The predicted rows [R, ...] of places [B, L, ...]."""
        return self._predicted_places.select(x_BL.flatten(0, 1))

    def _grid(self, rows_P: Tensor, columns_P: Tensor) -> QueryGrid | None:
        sequences, length = self.shape
        counts_B = torch.bincount(rows_P, minlength=sequences)
        most = int(counts_B.max())
        if most > MAX_GRID_SHARE * length:
            return None
        within_P = torch.arange(len(rows_P), device=rows_P.device) - (counts_B.cumsum(0) - counts_B)[rows_P]
        cell_P = rows_P * most + within_P
        predicted_C = _positions_in(cell_P, sequences * most)
        cell_R, source_C = padded(cell_P, len(self.place_R)), predicted_C.clamp(min=0)
        shape = torch.Size((sequences, most))
        return QueryGrid(
            shape,
            columns_P[source_C].view(shape),
            to_cells=RowSelection(source_C, _without_padding(cell_R, self.predictions)),
            from_cells=RowSelection(cell_R, predicted_C),
        )


@lru_cache(maxsize=8)
def last_place_packing(sequences: int, length: int, device: torch.device) -> Packing:
    """A packing where every place is a row and the last column is predicted from."""
    rows_B = torch.arange(sequences, device=device)
    exists_BL = torch.ones(sequences, length, dtype=torch.bool, device=device)
    return Packing(exists_BL, rows_B, torch.full_like(rows_B, length - 1), every_place=True)


def _positions_in(index: Tensor, values: int) -> Tensor:
    """For each value below `values`, its position in an index without repetition; -1 for none."""
    return index.new_full((values,), -1).index_copy_(0, index, torch.arange(len(index), device=index.device))


def _without_padding(index: Tensor, count: int) -> Tensor:
    """The index, with -1 in the padding after its first `count` elements."""
    return torch.where(torch.arange(len(index), device=index.device) < count, index, -1)
