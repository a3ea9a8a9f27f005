"""Recommends to each user the items to which a trained model gives the highest scores."""

from collections.abc import Sequence

import polars as pl
import torch

from mmsrec.errors import DataError
from mmsrec.evaluation.user_vectors import user_vectors
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Recommender

BATCH = 256  # users whose scores are in memory together


@torch.no_grad()
def recommend(
    model: Recommender, dataset: Dataset, users: Sequence[str] | None = None, top: int = 10, *, seen: bool = False
) -> pl.DataFrame:
    """The best next items of users, given their whole sequences.

    Args:
        model: trained on this data set.
        dataset: items, users and sequences.
        users: names of users; None for all.
        top: items per user; fewer if the data set has fewer.
        seen: whether items of a user's own sequence may be recommended.

    Returns:
        Columns user, position (1 is best), item_id, score; users in the order of `users`.

    Raises:
        DataError: a user is unknown.
    """
    numbers = _numbers(dataset.users, users)
    sequences = dataset.sequences
    items = model.eval().encode_all_items()
    vectors_UD = user_vectors(model, items, sequences, sequences.ends(0))
    parts = []
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        scores_BI = vectors_UD[batch] @ items.vectors_KD.T
        if not seen:
            for row, user in enumerate(batch):
                begin, end = sequences.offsets_U1[user : user + 2].tolist()
                scores_BI[row, sequences.items_A[begin:end]] = -torch.inf
        values, indices = (part.cpu() for part in scores_BI.topk(min(top, model.items), dim=1))
        parts.append(
            pl.DataFrame(
                {
                    "user": [dataset.users[user] for user in batch for _ in range(values.shape[1])],
                    "position": list(range(1, values.shape[1] + 1)) * len(batch),
                    "item_id": [dataset.item_ids[item] for item in indices.flatten().tolist()],
                    "score": values.flatten().tolist(),
                }
            )
        )
    return pl.concat(parts).filter(pl.col("score").is_finite())


def _numbers(known: Sequence[str], users: Sequence[str] | None) -> list[int]:
    """The places of users among the known ones."""
    if users is None:
        return list(range(len(known)))
    places = {user: number for number, user in enumerate(known)}
    unknown = [user for user in users if user not in places]
    if unknown:
        raise DataError(
            "These users are not in the k-core.",
            found=", ".join(unknown),
            expected=f"users such as {', '.join(known[:3])}",
            fix="Check the names; a smaller k_core keeps users with fewer actions.",
        )
    return [places[user] for user in users]
