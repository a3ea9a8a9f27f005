"""Means over seeds, with the interval that their spread allows."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import stdtrit

CONFIDENCE = 0.95


def over_seeds(frame: pl.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pl.DataFrame:
    """One row for each combination of `keys`, in order of first appearance.

    Returns:
        `keys`, and the following columns.

        - seeds: number of rows.
        - VALUE_measured: mean of each value.
        - VALUE_interval: half the width of Student's 95 % interval of that mean; null for a single seed.
    """
    rows = frame.group_by(keys, maintain_order=True).agg(
        pl.len().alias("seeds"),
        pl.col(values).mean().name.suffix("_measured"),
        pl.col(values).std().name.suffix("_interval"),
    )
    scale = pl.Series("scale", _half_width(rows["seeds"].to_numpy()), dtype=pl.Float64)
    return rows.with_columns(pl.col(f"{value}_interval") * scale for value in values)


def _half_width(seeds: np.ndarray) -> np.ndarray:
    """Half the interval's width in standard deviations of one measurement."""
    return stdtrit(seeds - 1.0, (1 + CONFIDENCE) / 2) / np.sqrt(seeds)
