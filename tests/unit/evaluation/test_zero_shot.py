import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import FeatureError
from mmsrec.evaluation import zero_shot
from mmsrec.evaluation.zero_shot import encoded, evaluate_retrieval
from mmsrec.features.feature_file import Provenance
from mmsrec.files import read_json
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.pairs.read import PairBatch, Pairs
from mmsrec.pairs.write import write_pairs
from tests.unit.training.examples import PRETRAINING

PAIRS, WIDTH = 13, 6


def batch(noise=0.7, width=WIDTH):
    random = np.random.default_rng(0)
    text = random.normal(size=(PAIRS, WIDTH)).astype(np.float16)
    vision = (np.resize(text, (PAIRS, width)) + noise * random.normal(size=(PAIRS, width))).astype(np.float16)
    return PairBatch(vision, np.ones(PAIRS, bool), text, np.ones(PAIRS, bool))


def corpus(folder, pairs, ids=None):
    write_pairs(folder, ids or [f"video{row}" for row in range(PAIRS)], pairs, Provenance("clip", "right", "", "", ""))
    return Pairs(folder)


def encoder(width=WIDTH):
    torch.manual_seed(0)
    return ItemEncoder({"vision": width, "text": WIDTH}, PRETRAINING)


def slow_ranks(queries, items):
    """The rank of each query's own item, by comparing all cosines."""
    cosines = F.normalize(torch.tensor(queries).double(), dim=1) @ F.normalize(torch.tensor(items).double(), dim=1).T
    return [1 + int((row > row[number]).sum()) for number, row in enumerate(cosines)]


def test_ranks_and_metrics_of_the_frozen_encoder_equal_a_slow_computation(tmp_path):
    pairs = batch()
    measured = evaluate_retrieval(corpus(tmp_path, pairs), {}, {"corpus": "test"}, tmp_path / "results")
    table = read_table(tmp_path / "results" / "ranks.parquet", SCHEMAS["retrieval_ranks"])
    for direction, queries, items in (
        ("text_to_video", pairs.text, pairs.vision),
        ("video_to_text", pairs.vision, pairs.text),
    ):
        expected = slow_ranks(queries, items)
        rows = [row for row in table.to_pylist() if row["direction"] == direction]
        assert [row["rank"] for row in rows] == expected
        assert [row["pair_id"] for row in rows] == [f"video{row}" for row in range(PAIRS)]
        found = measured["encoder"][direction]
        assert found["recall@5"] == pytest.approx(np.mean([rank <= 5 for rank in expected]))
        assert found["median_rank"] == np.median(expected)
    written = read_json(tmp_path / "results" / "metrics.json")
    assert (written["corpus"], written["pairs"], written["left_out"]) == ("test", PAIRS, 0)
    assert written["metrics"] == measured
    assert written["chance"]["recall@5"] == pytest.approx(5 / PAIRS)
    assert written["chance"]["median_rank"] == 7


def test_an_item_encoder_is_measured_by_its_vectors_of_each_side(tmp_path, monkeypatch):
    network, pairs = encoder(), batch()
    whole = encoded(network, pairs)
    monkeypatch.setattr(zero_shot, "CHUNK", 4)
    torch.testing.assert_close(encoded(network, pairs).text, whole.text)
    measured = evaluate_retrieval(corpus(tmp_path, pairs), {"untrained": network}, {}, tmp_path / "results")
    expected = slow_ranks(whole.text.numpy(), whole.video.numpy())
    assert measured["untrained"]["text_to_video"]["recall@1"] == pytest.approx(
        np.mean([rank == 1 for rank in expected])
    )


def test_a_constant_model_has_the_metrics_of_chance(tmp_path):
    network = encoder()
    with torch.no_grad():
        for parameter in network.output.parameters():
            parameter.zero_()
        network.output_norm.bias.fill_(1.0)
    measured = evaluate_retrieval(corpus(tmp_path, batch()), {"constant": network}, {}, tmp_path / "results")
    assert measured["constant"]["text_to_video"]["recall@10"] == pytest.approx(10 / PAIRS)
    assert measured["constant"]["video_to_text"]["median_rank"] == 7


def test_pairs_without_both_sides_are_left_out_and_counted(tmp_path, caplog):
    pairs = batch(noise=0.0)
    pairs.vision_present[3] = pairs.text_present[[3, 8]] = False
    measured = evaluate_retrieval(corpus(tmp_path, pairs), {}, {}, tmp_path / "results")
    assert measured["encoder"]["text_to_video"]["recall@1"] == 1
    assert read_json(tmp_path / "results" / "metrics.json")["left_out"] == 2
    assert "2 of 13" in caplog.text


def test_vectors_of_different_widths_have_no_cosine(tmp_path):
    measured = evaluate_retrieval(
        corpus(tmp_path, batch(width=9)), {"pretrained": encoder(9)}, {}, tmp_path / "results"
    )
    assert set(measured) == {"pretrained"}


def test_a_repeated_pair_is_an_error(tmp_path):
    with pytest.raises(FeatureError, match="more than once"):
        evaluate_retrieval(corpus(tmp_path, batch(), ["same"] * PAIRS), {}, {}, tmp_path / "results")


def test_a_corpus_without_complete_pairs_is_an_error(tmp_path):
    pairs = batch()
    pairs.vision_present[:] = False
    with pytest.raises(FeatureError, match="both"):
        evaluate_retrieval(corpus(tmp_path, pairs), {}, {}, tmp_path / "results")
