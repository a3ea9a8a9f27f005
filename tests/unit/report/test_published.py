"""The paper's numbers as they are packaged."""

import polars as pl

from mmsrec.report.published import published_comparison, published_statistics, published_value

METRICS = ["recall@10", "recall@50", "ndcg@10", "ndcg@50"]


def test_table_3_has_one_row_a_data_set_and_model():
    frame = published_comparison()
    assert frame.height == 40
    assert not frame.select("published", "k_core", "model").is_duplicated().any()
    row = frame.row(by_predicate=(pl.col("published") == "ml-1m") & (pl.col("model") == "mmsrec"), named=True)
    assert (row["recall@10"], row["ndcg@50"]) == (0.3124, 0.2392)
    assert row["encoders"] == "vision+text by open_clip ViT-B-32 openai"


def test_numbers_that_cannot_be_and_a_leak_have_a_note():
    # With one test item a user, NDCG@k is at most Recall@k.
    impossible = pl.any_horizontal(pl.col(f"ndcg@{k}") > pl.col(f"recall@{k}") for k in (10, 50))
    frame = published_comparison().with_columns(impossible=impossible)
    assert frame.filter("impossible").select("published", "model").rows() == [("ml-1m", "pop")]
    noted = frame.filter(pl.col("note").is_not_null())
    assert noted.select("published", "model").rows() == [("home", "unisrec"), ("ml-1m", "pop")]
    assert [published_value("3", "ml-1m", "pop", None, name).impossible for name in METRICS] == [
        True,
        False,
        True,
        False,
    ]


def test_a_note_is_for_the_numbers_that_it_names():
    notes = {name: published_value("3", "ml-1m", "pop", None, name).note for name in METRICS}
    assert [name for name, note in notes.items() if note] == ["recall@10", "ndcg@10"]
    assert all(published_value("3", "home", "unisrec", None, name).note for name in METRICS)


def test_the_unisrec_of_table_5_is_the_pre_trained_one_of_table_3():
    for name in METRICS:
        fifth = published_value("5", "sports", "unisrec", "text only: bert", name)
        assert fifth.value == published_value("3", "sports", "unisrec", None, name).value
        assert "pre-trained" in fifth.note
    assert published_value("5", "sports", "mmsrec", "text only: clip", "recall@10").value == 0.0603
    assert published_value("5", "beauty", "mmsrec", None, "recall@10").value is None


def test_the_statistics_name_their_table_and_note_a_padding_row():
    frame = published_statistics()
    row = frame.row(by_predicate=(pl.col("published") == "sports") & (pl.col("k_core") == 6), named=True)
    assert row["reported_in"] == "Table 4"
    assert "padding" in row["note"]
    assert frame.filter(pl.col("reported_in") == "Table 2")["note"].null_count() == 5
