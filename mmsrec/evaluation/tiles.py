"""The scores of a group of users and a tile of items, and the best items over all tiles."""

import torch
from torch import Tensor

# Users whose scores are computed together. The last group is padded, because a matrix product may round differently for
# another number of rows. A user's rank must not depend on the other users in the batch.
GROUP = {"cpu": 256, "cuda": 4096}
# Items scored at a time, so that memory does not grow with the number of items.
TILE_ITEMS = 1 << 15
# Items of a column in the search for the best items.
COLUMN = 8


def tiles_of(items_ID: Tensor) -> list[tuple[int, Tensor]]:
    """The tiles of the item vectors, each with the place of its first item."""
    return [(start, items_ID[start : start + TILE_ITEMS]) for start in range(0, len(items_ID), TILE_ITEMS)]


def tile_buffer(users_UD: Tensor, group: int, items: int) -> Tensor:
    """Memory for the scores of one tile. One buffer a thread suffices; a buffer a group would fragment the heap."""
    return users_UD.new_empty(group * min(items, TILE_ITEMS))


def tile_scores(users_BD: Tensor, tile_ID: Tensor, buffer: Tensor) -> Tensor:
    """The scores [B, items of the tile], written into the buffer."""
    out_BI = buffer[: len(users_BD) * len(tile_ID)].view(len(users_BD), len(tile_ID))
    return torch.mm(users_BD, tile_ID.T, out=out_BI)


def best_of_tile(scores_BI: Tensor, top: int, *, ordered: bool = True) -> tuple[Tensor, Tensor]:
    """The highest scores [B, top] and their item indices, best first if `ordered`.

    The items are arranged in columns of COLUMN items. The best items lie in the columns with the highest maxima, which
    are found in the same way. This takes half the time of a choice among all items.
    """
    batch, items = scores_BI.shape
    columns = items // COLUMN
    if not top or columns <= top:
        return scores_BI.topk(top, dim=1, sorted=ordered)
    grid = columns * COLUMN
    _, chosen_BK = best_of_tile(scores_BI[:, :grid].unflatten(1, (COLUMN, columns)).amax(1), top, ordered=False)
    rows_C1 = torch.arange(0, grid, columns, device=scores_BI.device)[:, None]
    left_over = torch.arange(grid, items, device=scores_BI.device).expand(batch, -1)
    candidates = torch.cat([(chosen_BK[:, None] + rows_C1).flatten(1), left_over], dim=1)
    values_BK, places_BK = scores_BI.gather(1, candidates).topk(top, dim=1, sorted=ordered)
    return values_BK, candidates.gather(1, places_BK)


def merged(best: list[tuple[Tensor, Tensor]], top: int) -> tuple[Tensor, Tensor]:
    """The highest scores [B, top] and the item indices over all tiles, from those of each tile."""
    if len(best) == 1:
        return best[0]
    values_BK, indices_BK = (torch.cat(columns, dim=1) for columns in zip(*best, strict=True))
    values_BK, order_BK = values_BK.topk(min(top, values_BK.shape[1]), dim=1)
    return values_BK, indices_BK.gather(1, order_BK)
