"""The predictions of a group of sequences, and the items sampled for a softmax."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Negatives:
    """Items drawn for a sampled softmax.

    Attributes:
        items_S: indices of the items, with repetition.
        log_expected_S: logarithm of the expected number of draws of each.
    """

    items_S: Tensor
    log_expected_S: Tensor


@dataclass(frozen=True)
class Predictions:
    """A group of sequences of similar length, with the items to predict in them.

    All indices are rows of the encoded items of the step (`EncodedItems`).

    Attributes:
        inputs_BL: item indices, right-aligned; `mask` where an item is hidden, `absent` in the padding.
        rows_P, columns_P: the places of the predictions.
        targets_P: the items to predict there.
        negatives: items that replace all items in the softmax; None for all items.
        companions: further tensors [B, ...] of the sequences, by name, which `Companions` drew.
        prior_K: added to the logits of the items in the loss; None for nothing.
    """

    inputs_BL: Tensor
    rows_P: Tensor
    columns_P: Tensor
    targets_P: Tensor
    negatives: Negatives | None = None
    companions: Mapping[str, Tensor] = field(default_factory=dict)
    prior_K: Tensor | None = None
