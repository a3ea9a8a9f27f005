import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, CheckpointError, DataError, FeatureError
from mmsrec.evaluation.evaluate import evaluate
from mmsrec.features.feature_file import Provenance, write_features
from mmsrec.files import read_json
from mmsrec.sequences.prepare import prepare
from mmsrec.settings.experiments import Evaluation
from mmsrec.settings.plan import Experiment
from mmsrec.training.dataset import FeatureInput, read_catalogue
from mmsrec.training.model_folder import load, train
from tests.unit.training.examples import SETTINGS

CPU = torch.device("cpu")
EXPERIMENT = Experiment("shop", 3, "text", 1)
ITEMS = [f"item{number}" for number in range(8)]


def write_shop(folder, actions):
    """A shop whose users walk through the items, `actions` each."""
    rows = [
        (f"user{user:02d}", ITEMS[(user + step) % len(ITEMS)], step) for user in range(24) for step in range(actions)
    ]
    interactions = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    items = pl.DataFrame({"item_id": ITEMS}).with_columns(
        title="item_id", text="item_id", media_url=pl.lit(None, pl.String)
    )
    write_table(folder / "interactions.parquet", interactions.to_arrow(), SCHEMAS["raw_interactions"])
    write_table(folder / "items.parquet", items.to_arrow(), SCHEMAS["raw_items"])
    prepare(folder, folder / "data", domain="shop", k=1, ties="source", tie_seed=0)


def write_text(folder, digest="right", ids=ITEMS):
    vectors = np.eye(8, dtype=np.float32)[: len(ids)]
    write_features(folder / "text.parquet", ids, [1] * len(ids), vectors, Provenance("lsa", digest, "", "text", ""))


@pytest.fixture
def shop(tmp_path):
    write_shop(tmp_path, actions=5)
    write_text(tmp_path)
    return tmp_path


def catalogue(shop, features=True):
    return read_catalogue(
        shop / "data", {"text": FeatureInput(shop / "text.parquet", "right")} if features else {}, CPU
    )


def test_a_trained_model_is_loaded_as_it_was(shop):
    train(EXPERIMENT, "mmsrec", SETTINGS, catalogue(shop), shop / "model")
    histories = torch.tensor([[0, 1, 2]])
    first, second = (load(shop / "model", catalogue(shop)).scores(histories) for _ in range(2))
    assert torch.equal(first, second)
    assert read_json(shop / "model" / "config.json")["experiment"]["variant"] == "text"
    assert read_table(shop / "model" / "history.parquet", SCHEMAS["history"]).num_rows == SETTINGS.max_epochs
    written = ["config.json", "history.parquet", "last.safetensors", "weights.safetensors"]
    assert sorted(path.name for path in (shop / "model").iterdir()) == written


def test_the_best_and_the_last_weights_are_kept(shop, monkeypatch):
    metrics = iter([0.1, 0.3, 0.2])
    monkeypatch.setattr("mmsrec.training.next_item.validation_metric", lambda *_: next(metrics))
    train(EXPERIMENT, "mmsrec", SETTINGS, catalogue(shop), shop / "three")
    best, last = (load_file(shop / "three" / name) for name in ("weights.safetensors", "last.safetensors"))
    assert not all(torch.equal(best[name], last[name]) for name in best)

    metrics = iter([0.1, 0.3])
    train(EXPERIMENT, "mmsrec", SETTINGS.model_copy(update={"max_epochs": 2}), catalogue(shop), shop / "two")
    of_two = load_file(shop / "two" / "last.safetensors")
    assert all(torch.equal(best[name], of_two[name]) for name in best)


def test_training_twice_gives_the_same_bytes(shop):
    weights = []
    for folder in ("one", "two"):
        train(EXPERIMENT, "mmsrec", SETTINGS, catalogue(shop), shop / folder)
        weights.append((shop / folder / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_counted_model_has_no_epochs(shop):
    train(EXPERIMENT, "pop", SETTINGS, catalogue(shop, features=False), shop / "model")
    assert read_table(shop / "model" / "history.parquet", SCHEMAS["history"]).num_rows == 0
    assert load(shop / "model", catalogue(shop, features=False)).counts.sum() == 24 * 3


def test_evaluation_writes_ranks_and_metrics(shop):
    data = catalogue(shop, features=False)
    train(EXPERIMENT, "pop", SETTINGS, data, shop / "model")
    measured = evaluate(
        load(shop / "model", data),
        data.sequences,
        Evaluation(candidates="all", cutoffs=[1, 8], top=3),
        users=data.users,
        item_ids=data.item_ids,
        experiment=EXPERIMENT,
        ties="source",
        output=shop / "results",
    )
    ranks = read_table(shop / "results" / "ranks.parquet", SCHEMAS["ranks"])
    assert ranks.column("target")[0].as_py() == ITEMS[4]
    assert set(ranks.column("top").combine_chunks().value_lengths().to_pylist()) == {3}
    written = read_json(shop / "results" / "metrics.json")
    assert written["metrics"] == pytest.approx(measured)
    assert written["metrics"]["recall@8"] == pytest.approx(1.0)
    assert written["chance"]["recall@1"] == pytest.approx(1 / 8)


def test_a_model_of_other_inputs_is_refused(shop):
    train(EXPERIMENT, "mmsrec", SETTINGS, catalogue(shop), shop / "model")
    write_text(shop, ids=ITEMS[:-1])
    with pytest.raises(CheckpointError, match=r"text\.parquet"):
        load(shop / "model", catalogue(shop))


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no"), lambda path: path.unlink()])
def test_damaged_or_missing_weights_are_named(shop, damage):
    train(EXPERIMENT, "pop", SETTINGS, catalogue(shop, features=False), shop / "model")
    damage(shop / "model" / "weights.safetensors")
    with pytest.raises((CheckpointError, ArtifactError), match=r"weights\.safetensors"):
        load(shop / "model", catalogue(shop, features=False))


def test_stale_features_are_refused(shop):
    write_text(shop, digest="another")
    with pytest.raises(FeatureError, match="stale"):
        catalogue(shop)


def test_features_of_another_domain_are_refused(shop):
    write_text(shop, ids=["elsewhere"])
    with pytest.raises(DataError, match="No item"):
        catalogue(shop)


def test_a_sequence_without_a_training_item_is_refused(tmp_path):
    write_shop(tmp_path, actions=2)
    with pytest.raises(DataError, match="leave-one-out"):
        catalogue(tmp_path, features=False)
