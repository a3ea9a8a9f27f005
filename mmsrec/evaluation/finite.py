"""The check that scores are numbers. A comparison with NaN is false, so NaN would rank every target first."""

import torch
from torch import Tensor

from mmsrec.errors import CheckpointError


def check_finite_scores(queries_UD: Tensor, items_ID: Tensor) -> None:
    """Checks the vectors whose dot products are the scores.

    Args:
        queries_UD: vectors of users, or of the queries of a retrieval.
        items_ID: vectors of the candidates.

    Raises:
        CheckpointError: a vector is not finite, or a score may exceed the largest number of its type.
    """
    largest = _largest("user", queries_UD) * _largest("item", items_ID) * queries_UD.shape[1]
    if largest > torch.finfo(items_ID.dtype).max:
        raise CheckpointError(
            "A model's scores are not finite.",
            expected=f"dot products below {torch.finfo(items_ID.dtype).max:.1e}",
            found=f"vectors whose dot products reach {largest:.1e}",
            fix="Train the model again, with a smaller learning rate.",
        )


def _largest(kind: str, vectors_ND: Tensor) -> float:
    """The largest absolute number of vectors; the first vector that is not finite is an error."""
    if not vectors_ND.numel():
        return 0.0
    # Without a second matrix of the size of the vectors. NaN is passed on.
    low, high = (bound.item() for bound in vectors_ND.aminmax())
    if not torch.tensor([low, high]).isfinite().all():
        bad = (~vectors_ND.isfinite()).any(dim=1)
        raise CheckpointError(
            "A model computes vectors that are not finite.",
            where=f"the vector of {kind} {int(bad.int().argmax())}, counted from 0",
            expected="finite numbers",
            found=f"NaN or infinity in {int(bad.sum()):,} of {len(bad):,} vectors",
            fix="Train the model again, with a smaller learning rate.",
        )
    return max(-low, high)
