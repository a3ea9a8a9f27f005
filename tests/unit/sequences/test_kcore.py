from collections import Counter

import numpy as np
import pytest

from mmsrec.sequences.kcore import k_core


def slow_k_core(pairs, k):
    while True:
        users, items = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        kept = [(user, item) for user, item in pairs if users[user] >= k and items[item] >= k]
        if len(kept) == len(pairs):
            return kept
        pairs = kept


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_dictionary_k_core(seed, k):
    generator = np.random.default_rng(seed)
    users, items = generator.zipf(1.6, 600) % 80, generator.zipf(1.4, 600) % 60
    users, items = (np.unique(codes, return_inverse=True)[1] for codes in (users, items))
    mask = k_core(users, items, k)
    assert list(zip(users[mask], items[mask], strict=True)) == slow_k_core(list(zip(users, items, strict=True)), k)


def test_a_removal_can_cascade_until_nothing_is_left():
    # A path: every removal of an end makes a new end.
    users = np.array([0, 0, 1, 1, 2, 2])
    items = np.array([0, 1, 1, 2, 2, 3])
    assert not k_core(users, items, 2).any()


def test_repeated_interactions_count():
    assert k_core(np.zeros(3, int), np.zeros(3, int), 3).all()
