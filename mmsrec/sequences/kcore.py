"""The k-core of a bipartite graph of users and items (Section 4.2.1 of the paper)."""

import numpy as np


def k_core(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """Selects the largest set of interactions in which every user and every item has at least k.

    Users and items with fewer interactions are removed until none is left. The result does not depend on the order of
    removal.

    Args:
        users: codes 0 .. number of users - 1, one for each interaction.
        items: codes 0 .. number of items - 1, one for each interaction.
        k: least number of interactions.

    Returns:
        A mask over the interactions.
    """
    kept = np.arange(len(users))
    while True:
        enough = np.ones(len(kept), dtype=bool)
        for codes in (users[kept], items[kept]):
            enough &= (np.bincount(codes) >= k)[codes]
        if enough.all():
            mask = np.zeros(len(users), dtype=bool)
            mask[kept] = True
            return mask
        kept = kept[enough]
