"""The paper's own numbers, with the table that each comes from, and later ones of public models of ids (`later`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

# The paper ranks among all items (Section 4.2.2).
PAPER_CANDIDATES = "all"
# Table 3 is measured on the 5-core of every data set (Section 4.2.1).
PAPER_K_CORE = 5


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
    return (
        _published("3")
        .with_columns(k_core=pl.lit(PAPER_K_CORE, pl.Int64))
        .drop("table", "features", "source", "note_on", "candidates")
    )


def published_retrieval() -> pl.DataFrame:
    """Table 1, text to video: published (the data set), model, recall@5, recall@10."""
    return _published("1").select("published", "model", "recall@5", "recall@10")


@dataclass(frozen=True)
class PublishedValue:
    """One number of the paper; without a number, all attributes have their defaults.

    Attributes:
        value: the number.
        note: a remark on it.
        candidates: the protocol that it was measured under.
        impossible: whether no ranking can have this number: with one test item a user, NDCG@k is at most Recall@k.
    """

    value: float | None = None
    note: str | None = None
    candidates: str | None = None
    impossible: bool = False


def published_value(table: str, dataset: str, model: str, features: str | None, metric: str) -> PublishedValue:
    """A number of published.csv.

    Args:
        table: number of the paper's table.
        dataset: the paper's name of a data set, as in the file.
        model: model in the file.
        features: features in the file; None if the model has one row alone.
        metric: name of a metric, as in the file.
    """
    for row in _rows(table):
        if (row["published"], row["model"]) == (dataset, model) and features in {None, row["features"]}:
            noted = metric in row["note_on"].split() if row["note_on"] else True
            note = row["note"] if noted else None
            return PublishedValue(row.get(metric), note, row["candidates"], _is_impossible(row, metric))
    return PublishedValue()


def _is_impossible(row: Mapping[str, Any], metric: str) -> bool:
    cutoff = metric.partition("@")[2]
    recall, ndcg = row.get(f"recall@{cutoff}"), row.get(f"ndcg@{cutoff}")
    return None not in (recall, ndcg) and ndcg > recall


@cache
def _rows(table: str) -> list[dict[str, Any]]:
    return _published(table).to_dicts()


def _published(table: str) -> pl.DataFrame:
    rows = pl.read_csv(_data("published.csv"), schema_overrides={"table": pl.String}, infer_schema_length=None)
    return rows.filter(pl.col("table") == table).rename({"dataset": "published"})


def _data(name: str) -> bytes:
    return (files("mmsrec.report") / name).read_bytes()
