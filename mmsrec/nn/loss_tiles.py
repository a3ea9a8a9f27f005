"""Sizes and padding of the tiles of logits that the softmax losses share."""

import torch
from torch import Tensor

from mmsrec.nn.packing import padded, rounded

# Logits of a tile: they fit a CPU's last cache level, and they occupy a GPU.
TILE_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 27}
# Rows of a tile: on a CPU, more rows would leave a core's own cache.
TILE_ROWS = {"cpu": 1 << 9, "cuda": 1 << 20}
TILE_STEP = 64  # rows of a tile are a multiple of this


def tile_rows(columns: int, device: torch.device) -> int:
    """Rows of a tile with this many columns."""
    rows = min(TILE_ELEMENTS[device.type] // columns, TILE_ROWS[device.type])
    return max(1, rows - rows % TILE_STEP if rows > TILE_STEP else rows)


def padded_to_tiles(x: Tensor, rows: int) -> Tensor:
    """Pads with zeros to a multiple of `rows`, so that all tiles have one shape.

    Less than one tile is padded to a `rounded` count. Queries of zeros add nothing to a gradient.
    """
    count = rounded(len(x), x.device)
    return padded(x, count if count < rows else -(-len(x) // rows) * rows)


def scaled(gradients: tuple[Tensor, ...], factor: Tensor) -> tuple[Tensor, ...]:
    """Scales the gradients in place: copies would double the memory that grows with the number of items."""
    return tuple(gradient.mul_(factor) for gradient in gradients)
