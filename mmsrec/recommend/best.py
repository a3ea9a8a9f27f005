"""The best items of users, by tiles of scores, so that memory grows neither with the users nor with the items."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsrec.evaluation.tiles import GROUP, best_of_tile, merged, tile_buffer, tile_scores, tiles_of
from mmsrec.evaluation.user_vectors import padded
from mmsrec.nn.threads import in_threads


@dataclass(frozen=True)
class OwnItems:
    """Some items of each user: user u has places[offsets[u]:offsets[u + 1]].

    Attributes:
        offsets_U1: the first pair of each user, then the number of pairs, int64.
        places_S: places among the candidates, int64.
    """

    offsets_U1: Tensor
    places_S: Tensor

    @classmethod
    def of(cls, rows_S: Tensor, places_S: Tensor, users: int) -> "OwnItems":
        """From pairs of a user's row and a place, in any order."""
        rows_S, order_S = rows_S.sort(stable=True)
        counts_U = torch.bincount(rows_S, minlength=users)
        return cls(torch.cat([counts_U.new_zeros(1), counts_U.cumsum(0)]), places_S[order_S])

    def raise_scores(self, scores_BI: Tensor, start: int, users_B: Tensor, added: float) -> None:
        """Adds a number to the scores of these items in a tile, whose first item is at the place `start`.

        An item that a user has twice gets the number once.
        """
        starts_B, ends_B = self.offsets_U1[users_B], self.offsets_U1[users_B + 1]
        counts_B = ends_B - starts_B
        rows_S = torch.repeat_interleave(counts_B)
        first_S = (starts_B - counts_B.cumsum(0) + counts_B)[rows_S]
        places_S = self.places_S[first_S + torch.arange(len(rows_S), device=rows_S.device)] - start
        items = scores_BI.shape[1]
        here_S = (places_S >= 0) & (places_S < items)
        flat, flat_S = scores_BI.view(-1), rows_S[here_S] * items + places_S[here_S]
        flat[flat_S] = flat[flat_S] + added


@torch.no_grad()
def best_items(
    users_UD: Tensor, items_ID: Tensor, changed: Sequence[tuple[OwnItems, float]], top: int, *, group: int | None = None
) -> tuple[Tensor, Tensor]:
    """The highest scores of each user: dot products of vectors, which are changed for some items.

    Args:
        users_UD: vectors of users.
        items_ID: vectors of the candidates, on the same device.
        changed: candidates of each user, on the same device, and what is added to their scores: -inf excludes them.
        top: items for each user; fewer if there are fewer candidates.
        group: users computed together; None for the default of the device.

    Returns:
        Scores [U, K], best first and -inf where a user has fewer candidates, and places [U, K], on the CPU.
    """
    group = group or GROUP[users_UD.device.type]
    tiles, own = tiles_of(items_ID), threading.local()

    def best(users_B: Tensor) -> tuple[Tensor, Tensor]:
        if not hasattr(own, "buffer"):
            own.buffer = tile_buffer(users_UD, group, len(items_ID))
        padded_B = padded(users_B, group)
        found = []
        for start, tile_ID in tiles:
            scores_BI = tile_scores(users_UD[padded_B], tile_ID, own.buffer)
            for own_items, added in changed:
                own_items.raise_scores(scores_BI, start, padded_B, added)
            values_BK, places_BK = best_of_tile(scores_BI, min(top, scores_BI.shape[1]))
            found.append((values_BK, places_BK + start))
        return tuple(part[: len(users_B)].cpu() for part in merged(found, top))

    groups = torch.arange(len(users_UD), device=users_UD.device).split(group)
    values, places = zip(*in_threads(best, groups, users_UD.device), strict=True)
    return torch.cat(values), torch.cat(places)
