"""Recall@k, NDCG@k and MRR of one held-out item per user (Section 4.2.2 of the paper).

Ties: a target that shares its score with other items takes each of their ranks with equal probability. Its gain is the
mean over these ranks. Without ties this is the usual gain at the rank.
"""

import numpy as np


def metrics(rank: np.ndarray, ties: np.ndarray, cutoffs: list[int]) -> dict[str, float]:
    """The means of the metrics over the users.

    Args:
        rank: mean rank of each user's target [U], 1 is best.
        ties: number of candidates with the target's score, the target included [U].
        cutoffs: values of k.

    Returns:
        recall@k and ndcg@k for every k, and mrr.
    """
    first = rank - (ties - 1) / 2
    longest = int((first + ties - 1).max())
    discount = 1 / np.log2(np.arange(1, longest + 1) + 1)
    result = {f"recall@{k}": _mean_gain(first, ties, np.arange(1, longest + 1) <= k) for k in cutoffs}
    result |= {f"ndcg@{k}": _mean_gain(first, ties, discount * (np.arange(1, longest + 1) <= k)) for k in cutoffs}
    return result | {"mrr": _mean_gain(first, ties, 1 / np.arange(1, longest + 1))}


def _mean_gain(first: np.ndarray, ties: np.ndarray, gain: np.ndarray) -> float:
    """The mean over users of the mean gain at the ranks from `first` to `first + ties - 1`."""
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    start = first.astype(np.int64) - 1
    return float(np.mean((sums[start + ties] - sums[start]) / ties))


def chance(candidates: np.ndarray, cutoffs: list[int]) -> dict[str, float]:
    """The metrics of a model that gives all candidates the same score.

    Args:
        candidates: number of candidates of each user [U].
        cutoffs: values of k.
    """
    return metrics((candidates + 1) / 2, candidates, cutoffs)
