"""Items of sequences as rows of one matrix, so that no matrix product computes the places that hold no item."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

GPU_STEP = 64  # rows


def rounded(rows: int, device: torch.device) -> int:
    """A count of rows that is at least this one, by an eighth at most on a CPU.

    There oneDNN makes code for every shape of a product that it has not seen, which can take longer than the product:
    few counts are few shapes. A GPU's products have no such price, and like multiples of some power of two.
    """
    step = GPU_STEP if device.type != "cpu" else 1 << max(0, rows.bit_length() - 4)
    return -(-rows // step) * step


def filled(x: Tensor, rows: int) -> Tensor:
    """The rows of `x` and zeros below them."""
    return F.pad(x, (0, 0) * (x.dim() - 1) + (0, rows - len(x))) if rows > len(x) else x


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


class Packing:
    """Where the items of sequences [B, L] stand among the rows [N], and which of them are wanted [W].

    A place is a row and a column of the sequences, counted row by row. Counts of rows are `rounded`: rows after the
    last item's hold some item again, and what comes of them is not read.

    Args:
        exists_BL: which places hold an item.
        rows_P, columns_P: the places whose hidden states are asked for, all different.
        first: no wanted column is below it.
        whole: every place becomes a row, so that their number does not depend on what the sequences hold.

    Attributes:
        shape: B and L.
        first: as above.
        place_N, place_W: the place of each row, and of each wanted one.
        wanted: how many of place_W are asked for; the others fill up.
    """

    def __init__(
        self, exists_BL: Tensor, rows_P: Tensor, columns_P: Tensor, first: int = 0, *, whole: bool = False
    ) -> None:
        self.shape, self.first, self.wanted = exists_BL.shape, first, len(rows_P)
        exists_S = torch.ones_like(exists_BL).flatten() if whole else exists_BL.flatten()
        device = exists_S.device
        place_n = exists_S.nonzero().flatten()
        self.place_N = filled(place_n, rounded(len(place_n), device))
        row_S = torch.where(exists_S, exists_S.cumsum(0) - 1, -1)
        place_P = rows_P * self.shape[1] + columns_P
        self.place_W = filled(place_P, rounded(self.wanted, device))
        wanted_S = torch.full_like(row_S, -1).index_copy_(0, place_P, torch.arange(self.wanted, device=device))
        wanted_N = wanted_S[self.place_N]
        wanted_N[len(place_n) :] = -1
        inverse_N = torch.arange(len(self.place_N), device=device)
        # A place without an item shows the attention some row, which its mask hides.
        self._places = Choice(row_S.clamp(min=0), torch.where(inverse_N < len(place_n), self.place_N, -1))
        self._rows = Choice(self.place_N, row_S)
        self._wanted_rows = Choice(row_S.clamp(min=0)[self.place_W], wanted_N)
        self._wanted_places = Choice(self.place_W, wanted_S)
        self._whole = whole

    def from_start(self) -> "Packing":
        """The same, for a block that computes every column."""
        if not self.first:
            return self
        every = copy.copy(self)
        every.first = 0
        return every

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
        """The wanted [W, ...] among the places from column `first` on."""
        if not self.first:
            return self._wanted_places.of(x_BL.flatten(0, 1))
        rows_W, columns_W = self.place_W // self.shape[1], self.place_W % self.shape[1]
        return x_BL[rows_W, (columns_W - self.first).clamp(min=0)]


def packing_of_last(inputs_BL: Tensor) -> Packing:
    """Every place of the sequences as a row, and the last column wanted."""
    rows_B = torch.arange(len(inputs_BL), device=inputs_BL.device)
    last = inputs_BL.shape[1] - 1
    whole_BL = torch.ones_like(inputs_BL, dtype=torch.bool)
    return Packing(whole_BL, rows_B, torch.full_like(rows_B, last), last, whole=True)
