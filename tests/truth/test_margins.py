"""The pipeline must show the known truths of the demo's world for each of three seeds; docs/demo.md has the values.

`make truth` runs the pipeline and then these tests. They are skipped if there is no report.
"""

from functools import cache
from pathlib import Path
from statistics import mean

import polars as pl
import pytest

from mmsrec.files import read_json

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
CUT = "demo-shop/k5/shuffle"
RARE = 5  # training actions with a rare item, at most
SEEDS = (0, 1, 2)
PRETRAININGS = ("demo", "demo-seed1", "demo-seed2")

pytestmark = pytest.mark.skipif(
    not (RESULTS / "reports/demo-truth").is_dir(), reason="no report demo-truth here: `make truth` makes it"
)


def recall(variant, seed):
    return read_json(RESULTS / f"{CUT}/{variant}/seed{seed}/metrics.json")["metrics"]["all"]["recall@10"]


@cache
def training_counts():
    """How often each item occurs in the sequences without the validation and the test item."""
    items = pl.read_parquet(ROOT / f"data/processed/{CUT}/sequences.parquet").select(pl.col("items"))
    trained = items.select(pl.col("items").list.head(pl.col("items").list.len() - 2).explode().alias("item"))
    ids = pl.read_parquet(ROOT / "data/processed/demo-shop/k5/items.parquet").select("item_id", item="item_index")
    return ids.join(trained.group_by("item").len(), on="item", how="left").select(
        target="item_id", count=pl.col("len").fill_null(0)
    )


def recall_of_rare(variant, seed, most):
    """Recall@10 of the users whose test item has at most `most` training actions."""
    ranks = pl.read_parquet(RESULTS / f"{CUT}/{variant}/seed{seed}/ranks.parquet", columns=["target", "rank"])
    rare = ranks.join(training_counts(), on="target").filter(pl.col("count") <= most)
    return (rare["rank"] <= 10).mean()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("one", "margin"), [("demo-text", 0.05), ("demo-vision", 0.15)])
def test_both_modalities_beat_each_of_them(seed, one, margin):
    assert recall("demo-both", seed) > recall(one, seed) + margin


def test_features_lose_little_to_ids_over_all_items():
    assert mean(recall("demo-both", seed) - recall("demo-sasrec", seed) for seed in SEEDS) > -0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("variant", "times"), [("demo-text", 3), ("demo-vision", 1.5), ("demo-both", 4)])
def test_the_order_of_actions_tells_more_than_popularity(seed, variant, times):
    assert recall(variant, seed) > times * recall("pop", 0)


def test_many_users_take_a_rare_item_next():
    ranks = pl.read_parquet(RESULTS / f"{CUT}/pop/seed0/ranks.parquet", columns=["target"])
    counts = ranks.join(training_counts(), on="target")["count"]
    assert 0.18 < (counts <= RARE).mean() < 0.3
    assert (counts == 0).sum() >= 25


def test_features_find_rare_items_more_often_than_ids():
    # Over the seeds, because the recall of ids differs by .15 between them.
    gains = [recall_of_rare("demo-both", seed, RARE) - recall_of_rare("demo-sasrec", seed, RARE) for seed in SEEDS]
    assert mean(gains) > 0.06
    assert min(gains) > -0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_features_find_rare_items_nearly_as_often_as_others(seed):
    assert recall_of_rare("demo-both", seed, RARE) > 0.8 * recall("demo-both", seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_features_find_items_that_training_lacks_and_ids_do_not(seed):
    assert recall_of_rare("demo-both", seed, 0) > 0.4
    assert recall_of_rare("demo-sasrec", seed, 0) < 0.05


@pytest.mark.parametrize("pretraining", PRETRAININGS)
@pytest.mark.parametrize("other", ["chance", "encoder", "untrained"])
@pytest.mark.parametrize("direction", ["text_to_video", "video_to_text"])
def test_pre_training_finds_clips_that_no_other_finds(pretraining, other, direction):
    found = read_json(RESULTS / f"retrieval/{pretraining}/demo-videos/metrics.json")
    without = found["chance"] if other == "chance" else found["metrics"][other][direction]
    assert found["metrics"]["pretrained"][direction]["recall@10"] > 2 * without["recall@10"]
