"""Finds the nearest neighbours of an item in a feature file."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmsrec.artifacts import open_table
from mmsrec.errors import FeatureError
from mmsrec.features.feature_file import read_features


class Neighbour(NamedTuple):
    """An item, and the cosine of its vector with the query item's vector."""

    item_id: str
    cosine: float


def nearest(features: Path, item: str, count: int) -> list[Neighbour]:
    """The `count` items with the largest cosine to `item`, the best first, without the item itself.

    Raises:
        ArtifactError: the file is missing or damaged.
        FeatureError: the file is no feature file, or the item has no features.
    """
    found = read_features(features, [item])
    if not found.present[0]:
        raise FeatureError("The item has no features.", where=features, expected="an item_id of the file", found=item)
    query = _unit(found.embeddings)[0]
    cosines, items = [], []
    with open_table(features) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["item_id", "embedding"])
            vectors = table.column("embedding").combine_chunks().flatten().to_numpy().reshape(-1, len(query))
            cosines.append(_unit(vectors) @ query)
            items.append(table.column("item_id"))
    ranked = pl.DataFrame(
        {
            "item_id": pl.concat([pl.Series(pl.from_arrow(column), dtype=pl.String) for column in items]),
            "cosine": np.concatenate(cosines),
        }
    )
    best = (
        ranked.filter(pl.col("item_id") != item)
        .top_k(count, by="cosine")
        .sort("cosine", "item_id", descending=[True, False])
    )
    return [Neighbour(*row) for row in best.iter_rows()]


def _unit(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(np.float32).tiny)
