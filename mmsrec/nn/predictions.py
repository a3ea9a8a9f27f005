"""The predictions of a group of sequences, and the items drawn for a sampled softmax."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Negatives:
    """Items drawn for a sampled softmax.

    Attributes:
        items_S: indices of the items, with repetition.
        log_expected_S: logarithm of how often each is expected among the draws.
    """

    items_S: Tensor
    log_expected_S: Tensor


@dataclass(frozen=True)
class Predictions:
    """A group of sequences of like length and the items to be retrieved in them.

    All indices are those of rows of the catalogue that goes with it.

    Attributes:
        inputs_BL: item indices, right-aligned; `mask` where an item is hidden and `absent` before the first.
        rows_P, columns_P: where predictions are made.
        targets_P: the items to be retrieved there.
        negatives: what stands for the whole catalogue in the softmax; None for the whole catalogue itself.
    """

    inputs_BL: Tensor
    rows_P: Tensor
    columns_P: Tensor
    targets_P: Tensor
    negatives: Negatives | None = None
