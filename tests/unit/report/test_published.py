"""The paper's numbers as they are packaged."""

import polars as pl

from mmsrec.report.published import published_comparison, published_statistics


def test_table_3_has_one_row_a_data_set_and_model():
    frame = published_comparison()
    assert frame.height == 40
    assert not frame.select("published", "k_core", "model").is_duplicated().any()
    row = frame.row(by_predicate=(pl.col("published") == "ml-1m") & (pl.col("model") == "mmsrec"), named=True)
    assert (row["recall@10"], row["ndcg@50"]) == (0.3124, 0.2392)
    assert row["encoders"] == "vision+text by open_clip ViT-B-32 openai"


def test_only_numbers_that_cannot_be_have_a_note():
    # With one test item a user, NDCG@k is at most Recall@k.
    impossible = pl.any_horizontal(pl.col(f"ndcg@{k}") > pl.col(f"recall@{k}") for k in (10, 50))
    frame = published_comparison().with_columns(impossible=impossible)
    assert frame.filter("impossible").select("published", "model").rows() == [("ml-1m", "pop")]
    assert frame["impossible"].to_list() == frame["note"].is_not_null().to_list()


def test_the_statistics_name_their_table_and_note_a_padding_row():
    frame = published_statistics()
    row = frame.row(by_predicate=(pl.col("published") == "sports") & (pl.col("k_core") == 6), named=True)
    assert row["reported_in"] == "Table 4"
    assert "padding" in row["note"]
    assert frame.filter(pl.col("reported_in") == "Table 2")["note"].null_count() == 5
