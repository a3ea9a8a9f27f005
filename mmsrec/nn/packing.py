"""Items of sequences as rows of one matrix, so that no matrix product computes the places that hold no item."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

GPU_STEP = 64  # rows
# Attention answers for wanted places alone where no sequence wants more of its places than this.
SPARSE = 0.75


def rounded(rows: int, device: torch.device) -> int:
    """A count of rows that is at least this one, by an eighth at most on a CPU.

    There oneDNN makes code for every shape of a product that it has not seen, which can take longer than the product:
    few counts are few shapes. A GPU's products have no such price, and like multiples of some power of two.
    """
    step = GPU_STEP if device.type != "cpu" else 1 << max(0, rows.bit_length() - 4)
    return -(-rows // step) * step


def filled(x: Tensor, rows: int) -> Tensor:
    """The rows of `x` and zeros below them."""
    return torch.cat([x, x.new_zeros(rows - len(x), *x.shape[1:])]) if rows > len(x) else x


class Choice(NamedTuple):
    """Rows that are chosen from others.

    Attributes:
        index_R: which row of the source each row of the result is.
        inverse_S: which row of the result each row of the source has become; -1 for none, whose gradient is zero. A
            row of the result that is nobody's inverse is there to fill up, and passes no gradient on.
    """

    index_R: Tensor
    inverse_S: Tensor

    def of(self, x: Tensor) -> Tensor:
        """The chosen rows. Both directions only read by an index: fast, and in one order of sums on a GPU."""
        return _Choose.apply(x, self.index_R, self.inverse_S)


class _Choose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, index_R: Tensor, inverse_S: Tensor) -> Tensor:
        ctx.save_for_backward(inverse_S)
        return x.index_select(0, index_R)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inverse_S,) = ctx.saved_tensors
        spread = gradient.index_select(0, inverse_S.clamp(min=0))
        absent_S = (inverse_S < 0).view(-1, *(1,) * (spread.dim() - 1))
        return spread.masked_fill_(absent_S, 0.0), None, None


class Grid(NamedTuple):
    """The wanted places [W] of each sequence side by side [B, Q], so that attention answers for no others.

    Attributes:
        shape: B and Q, the most that a sequence wants.
        columns_BQ: the columns of the places; where a sequence wants fewer, of some other.
        spread, gather: cells by what is wanted, and what is wanted by cells.
    """

    shape: torch.Size
    columns_BQ: Tensor
    spread: Choice
    gather: Choice

    def cells(self, x_W: Tensor) -> Tensor:
        """What is wanted in its cells [B, Q, ...]."""
        return self.spread.of(x_W).unflatten(0, self.shape)

    def wanted(self, x_BQ: Tensor) -> Tensor:
        """What stands in the cells of what is wanted [W, ...]."""
        return self.gather.of(x_BQ.flatten(0, 1))

    def mask(self, mask: Tensor | None, per_item: int) -> Tensor | None:
        """The rows [B, 1, Q * M, T] of an attention mask that belong to the cells' M tokens."""
        if mask is None or mask.shape[-2] == 1:
            return mask
        within_M = torch.arange(per_item, device=mask.device)
        query_BT = (self.columns_BQ[..., None] * per_item + within_M).flatten(1)
        rows_B1 = torch.arange(len(query_BT), device=mask.device)[:, None]
        return mask.expand(len(query_BT), 1, *mask.shape[-2:])[rows_B1, 0, query_BT][:, None]


class Packing:
    """Where the items of sequences [B, L] stand among the rows [N], and which of them are wanted [W].

    A place is a row and a column of the sequences, counted row by row. Counts of rows are `rounded`: rows after the
    last item's hold some item again, and what comes of them is not read.

    Args:
        exists_BL: which places hold an item.
        rows_P, columns_P: the places whose hidden states are asked for, all different, row after row.
        whole: every place becomes a row, so that their number does not depend on what the sequences hold.

    Attributes:
        shape: B and L.
        place_N, place_W: the place of each row, and of each wanted one.
        wanted: how many of place_W are asked for; the others fill up.
        grid: of what is wanted; None where that is most of a sequence.
    """

    def __init__(self, exists_BL: Tensor, rows_P: Tensor, columns_P: Tensor, *, whole: bool = False) -> None:
        self.shape, self.wanted = exists_BL.shape, len(rows_P)
        exists_S = torch.ones_like(exists_BL).flatten() if whole else exists_BL.flatten()
        device = exists_S.device
        place_n = exists_S.nonzero().flatten()
        self.place_N = filled(place_n, rounded(len(place_n), device))
        row_S = torch.where(exists_S, exists_S.cumsum(0) - 1, -1)
        place_P = rows_P * self.shape[1] + columns_P
        self.place_W = filled(place_P, rounded(self.wanted, device))
        wanted_S = _inverse(place_P, len(row_S))
        wanted_N = wanted_S[self.place_N]
        wanted_N[len(place_n) :] = -1
        # A place without an item shows the attention some row, which its mask hides.
        self._places = Choice(row_S.clamp(min=0), _unfilled(self.place_N, len(place_n)))
        self._rows = Choice(self.place_N, row_S)
        self._wanted_rows = Choice(row_S.clamp(min=0)[self.place_W], wanted_N)
        self._wanted_places = Choice(self.place_W, wanted_S)
        # Where every place holds an item, rows are places, and none is looked up.
        self._whole = len(place_n) == len(exists_S)
        self.grid = self._grid(rows_P, columns_P)

    def unpack(self, x_N: Tensor) -> Tensor:
        """What stands at the places [B, L, ...]."""
        x_S = x_N[: self.shape.numel()] if self._whole else self._places.of(x_N)
        return x_S.unflatten(0, self.shape)

    def pack(self, x_BL: Tensor) -> Tensor:
        """The rows [N, ...] of the places."""
        x_S = x_BL.flatten(0, 1)
        return filled(x_S, len(self.place_N)) if self._whole else self._rows.of(x_S)

    def wanted_of_rows(self, x_N: Tensor) -> Tensor:
        """The wanted among the rows [W, ...]."""
        return self._wanted_rows.of(x_N)

    def wanted_of_places(self, x_BL: Tensor) -> Tensor:
        """The wanted among the places [W, ...]."""
        return self._wanted_places.of(x_BL.flatten(0, 1))

    def _grid(self, rows_P: Tensor, columns_P: Tensor) -> Grid | None:
        sequences, length = self.shape
        counts_B = torch.bincount(rows_P, minlength=sequences)
        most = int(counts_B.max())
        if most > SPARSE * length:
            return None
        within_P = torch.arange(len(rows_P), device=rows_P.device) - (counts_B.cumsum(0) - counts_B)[rows_P]
        cell_P = rows_P * most + within_P
        wanted_C = _inverse(cell_P, sequences * most)
        cell_W, chosen_C = filled(cell_P, len(self.place_W)), wanted_C.clamp(min=0)
        shape = torch.Size((sequences, most))
        return Grid(
            shape,
            columns_P[chosen_C].view(shape),
            spread=Choice(chosen_C, _unfilled(cell_W, self.wanted)),
            gather=Choice(cell_W, wanted_C),
        )


@lru_cache(maxsize=8)
def packing_of_last(sequences: int, length: int, device: torch.device) -> Packing:
    """Every place of the sequences as a row, and the last column wanted."""
    rows_B = torch.arange(sequences, device=device)
    whole_BL = torch.ones(sequences, length, dtype=torch.bool, device=device)
    return Packing(whole_BL, rows_B, torch.full_like(rows_B, length - 1), whole=True)


def _inverse(index_R: Tensor, rows: int) -> Tensor:
    """Which element of the index names each of the rows; -1 for none."""
    return index_R.new_full((rows,), -1).index_copy_(0, index_R, torch.arange(len(index_R), device=index_R.device))


def _unfilled(index_R: Tensor, count: int) -> Tensor:
    """The index, with -1 for what was filled up behind the first `count`."""
    return torch.where(torch.arange(len(index_R), device=index_R.device) < count, index_R, -1)
