"""The paper's own numbers, with the table that each comes from."""

from importlib.resources import files

import polars as pl

# Table 3 is measured on the 5-core of every data set (Section 4.2.1).
COMPARISON_K_CORE = 5


def published_statistics() -> pl.DataFrame:
    """Tables 2 and 4: reported_in, published (the data set), k_core, users, items, actions, sparsity, note."""
    return (
        pl.read_csv(_data("statistics.csv"))
        .with_columns(pl.format("Table {}", "table").alias("reported_in"))
        .rename({"dataset": "published"})
        .drop("table")
    )


def published_comparison() -> pl.DataFrame:
    """Table 3: published (the data set), k_core, model, and a column a metric that the paper reports."""
    reported = pl.read_csv(_data("published.csv"), schema_overrides={"table": pl.String})
    return (
        reported.filter(pl.col("table") == "3")
        .rename({"dataset": "published"})
        .with_columns(k_core=pl.lit(COMPARISON_K_CORE, pl.Int64))
        .drop("table", "features", "source")
    )


def published_retrieval() -> pl.DataFrame:
    """Table 1, text to video: published (the data set), model, recall@5, recall@10."""
    reported = pl.read_csv(_data("published.csv"), schema_overrides={"table": pl.String})
    return (
        reported.filter(pl.col("table") == "1")
        .rename({"dataset": "published"})
        .select("published", "model", "recall@5", "recall@10")
    )


def _data(name: str) -> bytes:
    return (files("mmsrec.report") / name).read_bytes()
