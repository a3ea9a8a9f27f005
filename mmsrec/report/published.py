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
    """Table 3: published (the data set), k_core, model, a column a metric, encoders and note.

    `encoders` names the encoder of each modality; it is null where the paper's row leaves no choice of features.
    `note` is a remark on the row's numbers.
    """
    return _published("3").with_columns(k_core=pl.lit(COMPARISON_K_CORE, pl.Int64)).drop("table", "features", "source")


def published_retrieval() -> pl.DataFrame:
    """Table 1, text to video: published (the data set), model, recall@5, recall@10."""
    return _published("1").select("published", "model", "recall@5", "recall@10")


def _published(table: str) -> pl.DataFrame:
    rows = pl.read_csv(_data("published.csv"), schema_overrides={"table": pl.String}, infer_schema_length=None)
    return rows.filter(pl.col("table") == table).rename({"dataset": "published"})


def _data(name: str) -> bytes:
    return (files("mmsrec.report") / name).read_bytes()
