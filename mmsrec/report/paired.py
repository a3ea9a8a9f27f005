"""A paired test of two models over users, and Holm's correction for several tests.

The test is Student's t-test of the differences between the users' values. The reasons:

- A test set has thousands of users, so their mean difference is close to normal.
- Its p-values are close to those of the randomization test, and Wilcoxon's are not (Smucker et al., CIKM 2007).
  Wilcoxon's test also discards the many users without a difference.
- It has the small p-values that Holm's correction needs. A randomization would take millions of draws for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class PairedTest:
    """The comparison of two models on the same users.

    Attributes:
        users: number of users.
        difference: mean difference, the first model minus the second.
        interval: half the width of the 95 % interval of that mean over users.
        p: two-sided probability of such a difference between equally good models.
    """

    users: int
    difference: float
    interval: float
    p: float


def paired_test(first_U: np.ndarray, second_U: np.ndarray) -> PairedTest:
    """Compares the values of two models on the same users, in the same order; at least two users."""
    differences_U = first_U - second_U
    users, mean = len(differences_U), float(differences_U.mean())
    error = float(differences_U.std(ddof=1)) / np.sqrt(users)
    if error == 0:
        return PairedTest(users, mean, 0.0, float(mean == 0))
    p = 2 * float(stdtr(users - 1, -abs(mean) / error))
    return PairedTest(users, mean, float(error * stdtrit(users - 1, 0.975)), p)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: one below .05 is significant among all of them together."""
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(stepped))
    return adjusted.tolist()
