"""The paired test and Holm's correction."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mmsrec.report.paired import holm, paired_test


@pytest.fixture
def values():
    random = np.random.default_rng(0)
    first = random.random(400) * (random.random(400) < 0.2)
    return first, first + random.normal(0.01, 0.1, 400) * (random.random(400) < 0.3)


def test_the_paired_test_is_that_of_scipy(values):
    found = paired_test(*values)
    expected = stats.ttest_rel(*values)
    low, high = expected.confidence_interval(0.95)
    assert found.users == 400
    assert found.p == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx((low + high) / 2)
    assert found.interval == pytest.approx((high - low) / 2)


def test_the_paired_test_agrees_with_random_signs(values):
    differences = values[0] - values[1]
    signs = np.random.default_rng(1).choice([-1, 1], (20_000, len(differences)))
    flipped = np.abs((signs * differences).mean(1)) >= abs(differences.mean())
    assert paired_test(*values).p == pytest.approx(flipped.mean(), abs=0.02)


def test_equal_models_do_not_differ_and_a_constant_difference_is_certain():
    values = np.array([0.5, 0.0, 1.0])
    assert paired_test(values, values).p == 1
    assert paired_test(values, values - 1).p == 0


def slow_holm(p):
    """The smallest level at which Holm's step-down procedure rejects each hypothesis."""
    adjusted = []
    for value in p:
        larger = [(sum(other >= step for other in p), step) for step in p if step <= value]
        adjusted.append(min(1, max(count * step for count, step in larger)))
    return adjusted


def test_holm_s_correction_equals_its_definition():
    for p in itertools.product([0.001, 0.01, 0.02, 0.3, 0.9], repeat=4):
        assert holm(list(p)) == pytest.approx(slow_holm(p))
    assert holm([]) == []
