import math

import numpy as np
import pytest

from mmsrec.evaluation.metrics import chance, metrics


def slow_metrics(first, ties, k):
    """Expectations over the places that a tied target may take, by enumeration."""
    places = range(first, first + ties)
    return {
        f"recall@{k}": sum(place <= k for place in places) / ties,
        f"ndcg@{k}": sum(1 / math.log2(place + 1) for place in places if place <= k) / ties,
        "mrr": sum(1 / place for place in places) / ties,
    }


@pytest.mark.parametrize("k", [1, 10, 50])
def test_metrics_equal_the_mean_over_tied_places(k):
    generator = np.random.default_rng(0)
    first, ties = generator.integers(1, 80, 200), generator.integers(1, 30, 200)
    found = metrics(first + (ties - 1) / 2, ties, [k])
    rows = [slow_metrics(int(place), int(count), k) for place, count in zip(first, ties, strict=True)]
    for name, value in found.items():
        assert value == pytest.approx(np.mean([row[name] for row in rows]))


def test_known_values_without_ties():
    found = metrics(np.array([1.0, 3.0, 11.0]), np.array([1, 1, 1]), [10])
    assert found == pytest.approx({"recall@10": 2 / 3, "ndcg@10": (1 + 0.5) / 3, "mrr": (1 + 1 / 3 + 1 / 11) / 3})


def test_chance_of_recall_is_k_over_the_candidates():
    found = chance(np.array([200, 200]), [10, 50])
    assert found["recall@10"] == pytest.approx(10 / 200)
    assert found["recall@50"] == pytest.approx(50 / 200)
