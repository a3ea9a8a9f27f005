"""Recall@k, NDCG@k and MRR of one held-out item per user (Section 4.2.2 of the paper).

Ties: a target that shares its score with other items takes each of their ranks with equal probability. Its gain is the
mean over these ranks. Without ties this is the usual gain at the rank.
"""

import numpy as np

# The gain of each rank, from 1.
GAINS = {
    "recall": lambda ranks: np.ones(len(ranks)),
    "ndcg": lambda ranks: 1 / np.log2(ranks + 1),
    "mrr": lambda ranks: 1 / ranks,
}


def metrics(rank: np.ndarray, ties: np.ndarray, cutoffs: list[int]) -> dict[str, float]:
    """The means of the metrics over the users.

    Args:
        rank: mean rank of each user's target [U], 1 is best.
        ties: number of candidates with the target's score, the target included [U].
        cutoffs: values of k.

    Returns:
        recall@k and ndcg@k for every k, and mrr.
    """
    names = [*(f"recall@{k}" for k in cutoffs), *(f"ndcg@{k}" for k in cutoffs), "mrr"]
    return {name: float(np.mean(gains(rank, ties, name))) for name in names}


def gains(rank: np.ndarray, ties: np.ndarray, metric: str) -> np.ndarray:
    """Each user's value of one metric [U], whose mean is the metric.

    Args:
        rank, ties: as for `metrics`.
        metric: recall@k or ndcg@k for any k, or mrr.
    """
    first = (rank - (ties - 1) / 2).astype(np.int64) - 1
    ranks = np.arange(1, int((first + ties).max()) + 1)
    family, _, cutoff = metric.partition("@")
    gain = GAINS[family](ranks) * (ranks <= int(cutoff or len(ranks)))
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    return (sums[first + ties] - sums[first]) / ties


def chance(candidates: np.ndarray, cutoffs: list[int]) -> dict[str, float]:
    """The metrics of a model that gives all candidates the same score.

    Args:
        candidates: number of candidates of each user [U].
        cutoffs: values of k.
    """
    return metrics((candidates + 1) / 2, candidates, cutoffs)
