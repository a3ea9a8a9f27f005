"""The rank of each user's held-out item among all items, by counting and without sorting.

Equal scores share the mean of their ranks. So a model with constant scores ranks every target in the middle, and its
metrics (`mmsrec.evaluation.metrics`) equal chance.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mmsrec.evaluation.finite import check_finite_scores
from mmsrec.evaluation.histories import Histories, histories_before
from mmsrec.evaluation.tiles import GROUP, best_of_tile, merged, tile_buffer, tile_scores, tiles_of
from mmsrec.evaluation.user_vectors import padded, user_vectors
from mmsrec.models.recommender import Recommender
from mmsrec.nn.threads import in_threads
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.evaluation import Candidates

# Users whose scores are compared at a time. The comparisons of this many fit a core's own cache.
COMPARED = {"cpu": 1 << 4, "cuda": 1 << 12}


@dataclass(frozen=True)
class Ranks:
    """The ranks of the targets of all users.

    Attributes:
        rank_U: mean rank of the target, 1 is best, float64.
        ties_U: number of candidates with the target's score, the target included.
        candidates_U: number of candidates.
        top_UK: indices of the best candidates, best first.
    """

    rank_U: Tensor
    ties_U: Tensor
    candidates_U: Tensor
    top_UK: Tensor


class _Counts(NamedTuple):
    """Numbers of items [U], and the best items [U, K].

    The target has no greater score than itself. It counts as equal, and never as seen.
    """

    greater: Tensor
    equal: Tensor
    seen_greater: Tensor
    seen_equal: Tensor
    seen: Tensor
    top: Tensor

    def ranks(self, items: int, candidates: Candidates, top_UK: Tensor) -> Ranks:
        """The ranks among all items, or among all items but the seen."""
        greater_U, equal_U, items_U = self.greater, self.equal, torch.full_like(self.seen, items)
        if candidates == "unseen":
            greater_U, equal_U, items_U = greater_U - self.seen_greater, equal_U - self.seen_equal, items_U - self.seen
        return Ranks(greater_U.double() + (equal_U.double() + 1) / 2, equal_U, items_U, top_UK)


def rank(
    model: Recommender,
    sequences: Sequences,
    held_out: int,
    *,
    candidates: Candidates = "all",
    top: int = 0,
    group: int | None = None,
) -> Ranks:
    """The ranks under one protocol; the arguments are those of `rank_by_protocol`."""
    return rank_by_protocol(model, sequences, held_out, [candidates], top=top, group=group)[candidates]


@torch.no_grad()
def rank_by_protocol(
    model: Recommender,
    sequences: Sequences,
    held_out: int,
    protocols: Sequence[Candidates],
    *,
    top: int = 0,
    group: int | None = None,
) -> dict[Candidates, Ranks]:
    """Ranks the item at `held_out` from the end of each sequence, given the items before it, under several protocols.

    All protocols read the same scores. The effect of the history is counted from the scores of its items alone.

    Args:
        model: it is put into evaluation mode.
        sequences: sequences of all users, each longer than `held_out`.
        held_out: 1 for the test item, 2 for the validation item.
        protocols: `all` items are candidates, or the items `unseen` in the user's history and the target.
        top: best items to return for each user, among the candidates of the first protocol; the others return none.
        group: users ranked together; None for the default of the device.

    Returns:
        Ranks by protocol, in the order of the users, on the CPU.

    Raises:
        CheckpointError: a vector or a score is not finite.
    """
    model.eval()
    items = model.encode_all_items()
    ends_U = sequences.ends(held_out)
    users_UD = user_vectors(model, items, sequences, ends_U)
    histories = partial(histories_before, sequences, ends_U=ends_U)
    counts = _counted(
        users_UD,
        items.vectors_KD,
        sequences.items_A[ends_U],
        histories=histories if "unseen" in protocols or model.repeat_score else None,
        repeat_score=model.repeat_score,
        hide=protocols[0] == "unseen",
        top=top,
        group=group,
    )
    first, *others = protocols
    tops = {first: counts.top} | dict.fromkeys(others, counts.top[:, :0])
    return {protocol: counts.ranks(model.items, protocol, top_UK) for protocol, top_UK in tops.items()}


@torch.no_grad()
def rank_among(
    model: Recommender, sequences: Sequences, held_out: int, items_K: Tensor | None, *, group: int | None = None
) -> Ranks:
    """Ranks the item at `held_out` among some items alone.

    The score of repeats is not added, unless all items are candidates.

    Args:
        items_K: indices of the candidates, ascending, with the items to rank; None for all items.
        others: as in `rank_by_protocol`.

    Returns:
        Ranks in the order of the users, on the CPU.
    """
    if items_K is None:
        return rank(model, sequences, held_out, group=group)
    model.eval()
    items, ends_U = model.encode_all_items(), sequences.ends(held_out)
    users_UD = user_vectors(model, items, sequences, ends_U)
    places_U = torch.searchsorted(items_K, sequences.items_A[ends_U])
    return rank_vectors(users_UD, items.vectors_KD[items_K], places_U, group=group)


def rank_vectors(
    queries_UD: Tensor, items_ID: Tensor, targets_U: Tensor, *, top: int = 0, group: int | None = None
) -> Ranks:
    """Ranks one item for each query among all items, by the dot products of vectors.

    Args:
        queries_UD: one vector for each query.
        items_ID: one vector for each item.
        targets_U: index of the item to rank.
        top: best items to return for each query.
        group: queries computed together; None for the default of the device.

    Returns:
        Ranks in the order of the queries, on the CPU.

    Raises:
        CheckpointError: a vector or a score is not finite.
    """
    counts = _counted(queries_UD, items_ID, targets_U, top=top, group=group)
    return counts.ranks(len(items_ID), "all", counts.top)


def _counted(
    queries_UD: Tensor,
    items_ID: Tensor,
    targets_U: Tensor,
    *,
    histories: Callable[[Tensor], Histories] | None = None,
    repeat_score: float = 0.0,
    hide: bool = False,
    top: int,
    group: int | None,
) -> _Counts:
    """The counts of all queries, on the CPU.

    Args:
        histories: takes indices of queries, and returns their histories; None if nothing asks for them.
        repeat_score: what is added to the score of an item of the history.
        hide: whether the best items must not be seen items.
    """
    check_finite_scores(queries_UD, items_ID)
    group = group or GROUP[queries_UD.device.type]
    own = threading.local()

    def counted(users_B: Tensor) -> list[Tensor]:
        if not hasattr(own, "buffer"):
            own.buffer = tile_buffer(queries_UD, group, len(items_ID))
        padded_B = padded(users_B, group)
        seen = histories(padded_B) if histories else None
        scored = partial(_scored, queries_UD[padded_B], own.buffer, seen, repeat_score)
        columns = _count(scored, items_ID, targets_U[padded_B], seen, hide, top)
        return [column[: len(users_B)].cpu() for column in columns]

    groups = torch.arange(len(queries_UD), device=queries_UD.device).split(group)
    parts = in_threads(counted, groups, queries_UD.device)
    return _Counts(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _scored(
    users_BD: Tensor, buffer: Tensor, seen: Histories | None, repeat_score: float, start: int, tile_ID: Tensor
) -> Tensor:
    """The scores [B, items of the tile], written into the buffer."""
    scores_BI = tile_scores(users_BD, tile_ID, buffer)
    if repeat_score:
        seen.raise_scores(scores_BI, start, repeat_score)
    return scores_BI


def _count(
    scored: Callable[[int, Tensor], Tensor],
    items_ID: Tensor,
    targets_B: Tensor,
    seen: Histories | None,
    hide: bool,
    top: int,
) -> _Counts:
    """The counts of each target, and the indices of the best items.

    Args:
        scored: takes the first item of a tile and the vectors of its items, and returns the scores of the users.
    """
    tiles = tiles_of(items_ID)
    # The scores of a single tile serve the targets too. More tiles are computed twice.
    whole_BI = scored(*tiles[0]) if len(tiles) == 1 else None
    target_B1 = items_ID.new_empty(len(targets_B), 1)
    for start, tile_ID in tiles:
        here_B = torch.nonzero((targets_B >= start) & (targets_B < start + len(tile_ID))).flatten()
        if len(here_B):
            scores_BI = scored(start, tile_ID) if whole_BI is None else whole_BI
            # Taken from the same matrix products as the other scores, so that equal items have equal scores.
            target_B1[here_B, 0] = scores_BI[here_B, targets_B[here_B] - start]
    counts_5B = targets_B.new_zeros(5, len(targets_B))
    best = []
    for start, tile_ID in tiles:
        scores_BI = scored(start, tile_ID) if whole_BI is None else whole_BI
        counts_5B[:2] += _compared(scores_BI, target_B1)
        if seen is not None:
            items_S = seen.within(scores_BI, start, targets_B)
            counts_5B[2:] += items_S.compared(scores_BI, target_B1[:, 0])
            if hide:
                items_S.hide(scores_BI)
        values_BK, indices_BK = best_of_tile(scores_BI, min(top, scores_BI.shape[1]))
        best.append((values_BK, indices_BK + start))
    return _Counts(*counts_5B, merged(best, top)[1])


def _compared(scores_BI: Tensor, target_B1: Tensor) -> Tensor:
    """The number of scores greater than the target's, and the number of scores equal to it [2, B].

    Sums of floats are many times faster than counts of booleans. They are exact: a tile has fewer than 2^24 items.
    """
    counts_2B = scores_BI.new_empty(2, len(scores_BI))
    rows = COMPARED[scores_BI.device.type]
    matches_RI = scores_BI.new_empty(min(rows, len(scores_BI)), scores_BI.shape[1])
    parts = (part.split(rows) for part in (scores_BI, target_B1, counts_2B.T))
    for scores, target, counts in zip(*parts, strict=True):
        for compare, count in zip((torch.gt, torch.eq), counts.unbind(1), strict=True):
            torch.sum(compare(scores, target, out=matches_RI[: len(scores)]), 1, out=count)
    return counts_2B.long()
