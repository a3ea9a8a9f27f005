"""The finished experiments of a report as one table of numbers, which outlives the results' files."""

import polars as pl

from mmsrec.report.inputs import CANDIDATES, KEYS, Inputs, metric_names

# Digits after the point that are kept; two of them are below the spread over seeds.
DIGITS = 6


def runs_frame(inputs: Inputs) -> pl.DataFrame:
    """One row for each finished experiment and protocol.

    Returns:
        The fields of an experiment, candidates (the protocol), each metric, and the following columns. They are null
        for a model without epochs, and the recall is null for a training without validation.

        - epochs: number of epochs.
        - best_epoch, validation_recall@10: the epoch with the best validation, and its Recall@10.
        - training_seconds: time of all epochs.
    """
    metrics = metric_names(inputs.params)
    keys = list(KEYS)
    trained = (
        inputs.histories()
        .group_by(keys, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("epochs"),
            pl.col("epoch").cast(pl.Int64).get(pl.col("recall@10").arg_max()).alias("best_epoch"),
            pl.col("recall@10").max().alias("validation_recall@10"),
            pl.col("seconds").sum().round(1).alias("training_seconds"),
        )
    )
    found = inputs.metrics().select(*keys, CANDIDATES, *metrics)
    return found.join(trained, on=keys, how="left", maintain_order="left").with_columns(
        pl.col(*metrics, "validation_recall@10").round(DIGITS)
    )
