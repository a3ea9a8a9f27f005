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
from mmsrec.models.dataset import FeatureInput, read_dataset
from mmsrec.models.fdsa_settings import FDSASettings
from mmsrec.sequences.prepare import prepare
from mmsrec.sequences.split import split
from mmsrec.settings.data import Split
from mmsrec.settings.evaluation import Evaluation
from mmsrec.settings.plan import Experiment
from mmsrec.settings.trainer import Trainer
from mmsrec.training.model_folder import load, read_config
from mmsrec.training.train import train
from mmsrec.training.weights import read_weights, write_weights
from tests.unit.models.examples import BLOCKS
from tests.unit.training.examples import SETTINGS, TRAINER, chosen
from tests.unit.training.wrong_configs import MISSING, change_config

CPU = torch.device("cpu")
EXPERIMENT = Experiment("shop", 3, "source", "text", 1)
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
    write_table(folder / "interactions.parquet", interactions.to_arrow(), SCHEMAS["interactions"])
    write_table(folder / "items.parquet", items.to_arrow(), SCHEMAS["raw_items"])
    prepare(folder, folder / "data", domain="shop", k=1)
    split(folder / "data", Split(ties="source"), folder / "data/sequences.parquet")


def write_text(folder, digest="right", ids=ITEMS):
    vectors = np.eye(8, dtype=np.float32)[: len(ids)]
    write_features(folder / "text.parquet", ids, [1] * len(ids), vectors, Provenance("lsa", digest, "", "text", ""))


@pytest.fixture
def shop(tmp_path):
    write_shop(tmp_path, actions=5)
    write_text(tmp_path)
    return tmp_path


def dataset(shop, features=True):
    files = {"text": FeatureInput(shop / "text.parquet", "right")} if features else {}
    return read_dataset(shop / "data/items.parquet", shop / "data/sequences.parquet", files, CPU)


def test_a_loaded_model_has_the_scores_of_the_trained_one(shop):
    train(EXPERIMENT, chosen(), dataset(shop), shop / "model")
    histories = torch.tensor([[0, 1, 2]])
    first, second = (load(shop / "model", dataset(shop)).scores(histories) for _ in range(2))
    assert torch.equal(first, second)
    assert read_json(shop / "model" / "config.json")["experiment"]["variant"] == "text"
    assert read_table(shop / "model" / "history.parquet", SCHEMAS["history"]).num_rows == TRAINER.max_epochs
    written = ["config.json", "history.parquet", "last.safetensors", "weights.safetensors"]
    assert sorted(path.name for path in (shop / "model").iterdir()) == written


def test_the_best_and_the_last_weights_are_kept(shop, monkeypatch):
    metrics = iter([0.1, 0.3, 0.2])
    monkeypatch.setattr("mmsrec.training.next_item.validation_metric", lambda *_: next(metrics))
    train(EXPERIMENT, chosen(), dataset(shop), shop / "three")
    best, last = (load_file(shop / "three" / name) for name in ("weights.safetensors", "last.safetensors"))
    assert not all(torch.equal(best[name], last[name]) for name in best)

    metrics = iter([0.1, 0.3])
    train(EXPERIMENT, chosen(trainer=TRAINER.model_copy(update={"max_epochs": 2})), dataset(shop), shop / "two")
    of_two = load_file(shop / "two" / "last.safetensors")
    assert all(torch.equal(best[name], of_two[name]) for name in best)


def test_training_twice_gives_the_same_bytes(shop):
    weights = []
    for folder in ("one", "two"):
        train(EXPERIMENT, chosen(), dataset(shop), shop / folder)
        weights.append((shop / folder / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_config_records_the_settings_of_the_model_and_of_the_trainer(shop):
    train(EXPERIMENT, chosen(), dataset(shop), shop / "model")
    config = read_config(shop / "model")
    assert config.settings["objective"] == SETTINGS.objective
    assert config.trainer == TRAINER.model_dump(include=set(Trainer.model_fields))
    assert (config.model, config.items, config.pretrained) == ("mmsrec", len(ITEMS), None)
    assert config.experiment == {"domain": "shop", "k_core": 3, "split": "source", "variant": "text", "seed": 1}
    assert set(config.inputs) == {"items.parquet", "sequences.parquet", "text.parquet"}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("extra", 1, "extra"),
        ("trainer", MISSING, "trainer"),
        ("items", "8", "items"),
        ("model", "later", "model"),
        ("settings.depth", 1, "settings.depth"),
        ("settings.dim", MISSING, "settings.dim"),
        ("settings.dim", "16", "settings.dim"),
        ("settings.heads", 3, "settings"),
        ("trainer.rate", 1, "trainer.rate"),
        ("trainer.patience", MISSING, "trainer.patience"),
        ("trainer.patience", [[]], "trainer.patience"),
    ],
)
def test_a_config_that_does_not_fit_is_an_error_that_names_the_key(shop, key, value, named):
    data, path = dataset(shop), shop / "model" / "config.json"
    train(EXPERIMENT, chosen(trainer=TRAINER.model_copy(update={"max_epochs": 1})), data, shop / "model")
    change_config(path, key, value)
    with pytest.raises(CheckpointError) as caught:
        load(shop / "model", data)
    assert caught.value.details["where"] == f"{path}: {named}"
    assert caught.value.details.keys() == {"where", "expected", "found", "fix"}
    assert "Train the model again." in str(caught.value)


NOT_CONFIGS = {
    "empty": b"",
    "not JSON": b"no",
    "truncated": b'{"model": "po',
    "not UTF-8": b'{"model": "\xff"}',
    "a list": b"[]",
    "nested 100,000 deep": b"[" * 100_000,
    "settings nested 100,000 deep": b'{"settings": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "a number of 10,000 digits": b'{"items": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("content", NOT_CONFIGS.values(), ids=NOT_CONFIGS)
def test_a_damaged_config_is_a_short_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        read_config(tmp_path)
    assert caught.value.details.keys() == {"where", "expected", "found", "fix"}
    assert len(str(caught.value)) < 2000


def with_attributes(shop, *names):
    """The data set with two attributes of the first item, besides one of all items."""
    lists = [[*(names if item == ITEMS[0] else ()), "kind=shown"] for item in ITEMS]
    table = pl.DataFrame({"item_id": ITEMS, "attributes": lists}).to_arrow()
    write_table(shop / "attributes.parquet", table, SCHEMAS["attributes"])
    return read_dataset(
        shop / "data/items.parquet", shop / "data/sequences.parquet", {}, CPU, shop / "attributes.parquet"
    )


def test_a_model_of_attributes_records_them_and_refuses_others(shop):
    data = with_attributes(shop, "brand=a", "brand=b")
    train(EXPERIMENT, chosen("fdsa", FDSASettings(**BLOCKS)), data, shop / "model")
    config = read_config(shop / "model")
    assert set(config.inputs) == {"items.parquet", "sequences.parquet", "attributes.parquet"}
    histories = torch.tensor([[0, 1, 2]])
    first, second = (load(shop / "model", data).scores(histories) for _ in range(2))
    assert torch.equal(first, second)
    with pytest.raises(CheckpointError, match=r"attributes\.parquet"):
        load(shop / "model", with_attributes(shop, "brand=a"))


def test_a_counted_model_has_no_epochs(shop):
    train(EXPERIMENT, chosen("pop"), dataset(shop, features=False), shop / "model")
    assert read_table(shop / "model" / "history.parquet", SCHEMAS["history"]).num_rows == 0
    assert load(shop / "model", dataset(shop, features=False)).counts.sum() == 24 * 3


def test_evaluation_writes_ranks_and_metrics(shop):
    data = dataset(shop, features=False)
    train(EXPERIMENT, chosen("pop"), data, shop / "model")
    measured = evaluate(
        load(shop / "model", data),
        data,
        Evaluation(candidates=["unseen", "all"], cutoffs=[1, 8], top=3),
        experiment=EXPERIMENT,
        ties="source",
        output=shop / "results",
    )
    ranks = read_table(shop / "results" / "ranks.parquet", SCHEMAS["ranks"])
    assert ranks.column("target")[0].as_py() == ITEMS[4]
    assert set(ranks.column("top").combine_chunks().value_lengths().to_pylist()) == {3}
    assert (ranks.column("unseen_rank").to_numpy() <= ranks.column("rank").to_numpy()).all()
    written = read_json(shop / "results" / "metrics.json")
    assert written["candidates"] == ["unseen", "all"]
    assert set(written["metrics"]) == set(written["chance"]) == {"all", "unseen"}
    assert written["metrics"] == measured
    assert written["metrics"]["all"]["recall@8"] == pytest.approx(1.0)
    assert written["chance"]["all"]["recall@1"] == pytest.approx(1 / 8)
    assert written["chance"]["unseen"]["recall@1"] > 1 / 8


def test_a_model_with_other_inputs_is_an_error(shop):
    train(EXPERIMENT, chosen(), dataset(shop), shop / "model")
    write_text(shop, ids=ITEMS[:-1])
    with pytest.raises(CheckpointError, match=r"text\.parquet"):
        load(shop / "model", dataset(shop))


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no"), lambda path: path.unlink()])
def test_damaged_or_missing_weights_are_an_error_that_names_them(shop, damage):
    train(EXPERIMENT, chosen("pop"), dataset(shop, features=False), shop / "model")
    damage(shop / "model" / "weights.safetensors")
    with pytest.raises((CheckpointError, ArtifactError), match=r"weights\.safetensors"):
        load(shop / "model", dataset(shop, features=False))


def test_stale_features_are_an_error(shop):
    write_text(shop, digest="another")
    with pytest.raises(FeatureError, match="stale"):
        dataset(shop)


def test_features_of_another_domain_are_an_error(shop):
    write_text(shop, ids=["elsewhere"])
    with pytest.raises(DataError, match="No item"):
        dataset(shop)


def test_a_sequence_without_a_training_item_is_an_error(tmp_path):
    write_shop(tmp_path, actions=2)
    with pytest.raises(DataError, match="leave-one-out"):
        dataset(tmp_path, features=False)


def test_weights_that_are_not_finite_are_refused_by_their_name(tmp_path):
    write_weights(tmp_path, {"good": torch.ones(2), "items.weight": torch.tensor([1.0, float("nan"), 2.0])})
    with pytest.raises(CheckpointError, match="not finite") as caught:
        read_weights(tmp_path)
    assert "items.weight" in str(caught.value)
    assert "1 of 3" in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.int64, torch.bool])
def test_weights_of_a_type_that_no_model_stores_are_refused_by_their_name(tmp_path, dtype):
    write_weights(tmp_path, {"items.weight": torch.zeros(2).to(dtype)})
    with pytest.raises(CheckpointError, match="no model stores") as caught:
        read_weights(tmp_path)
    assert "items.weight" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[" * 100_000, "a JSON object"), ('{"settings": ' + '{"a":' * 100_000, "a JSON object"), ("[]", "object")],
)
def test_a_config_that_is_nested_too_deep_is_refused(tmp_path, text, expected):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="does not fit") as caught:
        read_config(tmp_path)
    assert expected in str(caught.value)


def test_a_negative_width_in_a_config_says_where_and_what(shop):
    train(EXPERIMENT, chosen(), dataset(shop), shop / "model")
    change_config(shop / "model" / "config.json", "settings.dim", -64)
    with pytest.raises(CheckpointError, match="does not fit") as caught:
        load(shop / "model", dataset(shop))
    for part in ("config.json: settings.dim", "greater than or equal to 1", "found: -64", "fix: Train the model again"):
        assert part in str(caught.value)
