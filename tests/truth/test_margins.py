"""The pipeline must show the known truths of the demo's world for each of three seeds; docs/demo.md has the values.

`make truth` runs the pipeline and then these tests. They are skipped if there is no report.
"""

from pathlib import Path

import pytest

from mmsrec.files import read_json

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
SEEDS = (0, 1, 2)
PRETRAININGS = ("demo", "demo-seed1", "demo-seed2")

pytestmark = pytest.mark.skipif(
    not (RESULTS / "reports/demo-truth").is_dir(), reason="no report demo-truth here: `make truth` makes it"
)


def recall(variant, seed):
    return read_json(RESULTS / f"demo-shop/k5/shuffle/{variant}/seed{seed}/metrics.json")["metrics"]["all"]["recall@10"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("one", "margin"), [("demo-text", 0.05), ("demo-vision", 0.15)])
def test_both_modalities_beat_each_of_them(seed, one, margin):
    assert recall("demo-both", seed) > recall(one, seed) + margin


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("variant", "times"), [("demo-text", 3), ("demo-vision", 1.5), ("demo-both", 4)])
def test_the_order_of_actions_tells_more_than_popularity(seed, variant, times):
    assert recall(variant, seed) > times * recall("pop", 0)


@pytest.mark.parametrize("pretraining", PRETRAININGS)
@pytest.mark.parametrize("other", ["chance", "encoder", "untrained"])
@pytest.mark.parametrize("direction", ["text_to_video", "video_to_text"])
def test_pre_training_finds_clips_that_no_other_finds(pretraining, other, direction):
    found = read_json(RESULTS / f"retrieval/{pretraining}/demo-videos/metrics.json")
    without = found["chance"] if other == "chance" else found["metrics"][other][direction]
    assert found["metrics"]["pretrained"][direction]["recall@10"] > 2 * without["recall@10"]
