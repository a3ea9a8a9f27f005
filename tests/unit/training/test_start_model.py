"""A training that starts from another trained model, and one without validation."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.files import read_json
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Features
from mmsrec.models.registry import MODELS
from mmsrec.models.sasrec import SASRec
from mmsrec.models.taken import take_tensors
from mmsrec.settings.plan import Experiment
from mmsrec.training import next_item
from mmsrec.training.model_folder import load
from mmsrec.training.train import train, untrained
from mmsrec.training.weights import read_weights, write_weights
from tests.unit.models.examples import SASREC, TRAINER, changed
from tests.unit.training.examples import SETTINGS, chosen, walks
from tests.unit.training.resumed import killed_at

ITEMS = 12
EXPERIMENT = Experiment("shop", 3, "source", "ids", 1)
IDS = chosen("sasrec", SASREC)


@pytest.fixture(autouse=True)
def _starts(monkeypatch):
    """Both models may start from themselves."""
    for name in ("sasrec", "mmsrec"):
        monkeypatch.setitem(MODELS, name, replace(MODELS[name], starts=frozenset({name})))


def dataset(digest=None, width=8, items="items", weights="w"):
    present = torch.ones(ITEMS, dtype=torch.bool)
    vectors = torch.randn(ITEMS, width, generator=torch.Generator().manual_seed(0))
    return Dataset(
        item_ids=[str(item) for item in range(ITEMS)],
        users=[str(user) for user in range(40)],
        sequences=walks(),
        features={"text": Features(vectors, present)} if digest else {},
        inputs={"items.parquet": items},
        encoder_digests={"text": digest} if digest else {},
        encoder_weights={"text": weights} if digest else {},
    )


@pytest.fixture
def folder(tmp_path):
    train(EXPERIMENT, IDS, dataset(), tmp_path / "start")
    return tmp_path / "start"


def test_a_training_begins_with_the_weights_of_its_start(folder):
    model, transferred, start = untrained(2, IDS, dataset(), start=folder)
    weights = read_weights(folder)
    state = model.state_dict()
    assert transferred is None
    assert start.loaded == sorted(weights) == sorted(state)
    assert (start.new, start.unused) == ([], [])
    assert all(torch.equal(state[name], weights[name]) for name in state)


def test_the_config_has_the_account_and_the_result_needs_no_start(folder, tmp_path):
    later = replace(EXPERIMENT, variant="later")
    train(later, IDS, dataset(), tmp_path / "later", start=folder)
    train(later, IDS, dataset(), tmp_path / "random")
    config = read_json(tmp_path / "later" / "config.json")
    assert config["start"]["experiment"]["variant"] == "ids"
    assert config["start"]["loaded"] == sorted(read_weights(folder))
    assert read_json(tmp_path / "random" / "config.json")["start"] is None
    for path in folder.iterdir():
        path.unlink()
    scores = [load(tmp_path / name, dataset()).scores(torch.tensor([[0, 1]])) for name in ("later", "random")]
    assert not torch.allclose(*scores)


def test_a_killed_training_with_a_start_ends_as_an_uninterrupted_one(folder, tmp_path):
    train(EXPERIMENT, IDS, dataset(), tmp_path / "whole", start=folder)
    with killed_at(5):
        train(EXPERIMENT, IDS, dataset(), tmp_path / "killed", start=folder, save_minutes=0)
    assert list((tmp_path / "killed").glob("checkpoint-*"))
    train(EXPERIMENT, IDS, dataset(), tmp_path / "killed", start=folder)
    for name in ("weights.safetensors", "last.safetensors", "config.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_without_an_epoch_the_weights_are_those_of_the_start(folder, tmp_path):
    unchanged = chosen("sasrec", SASREC, changed(TRAINER, max_epochs=0))
    train(EXPERIMENT, unchanged, dataset(), tmp_path / "zero", start=folder)
    assert read_table(tmp_path / "zero" / "history.parquet", SCHEMAS["history"]).num_rows == 0
    weights = read_weights(folder)
    for name in ("weights.safetensors", "last.safetensors"):
        found = load_file(tmp_path / "zero" / name)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[tensor], weights[tensor]) for tensor in weights)
    assert not list((tmp_path / "zero").glob("checkpoint-*"))
    histories = torch.tensor([[0, 1, 2]])
    scores = [load(path, dataset()).scores(histories) for path in (tmp_path / "zero", folder)]
    assert torch.equal(*scores)


def test_without_validation_every_epoch_is_trained_and_the_last_weights_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(SASRec, "validated", False)
    monkeypatch.setitem(MODELS, "sasrec", replace(MODELS["sasrec"], validated=False))
    monkeypatch.setattr(next_item, "validation_metric", lambda *_: pytest.fail("it is not validated"))
    train(EXPERIMENT, chosen("sasrec", SASREC, changed(TRAINER, max_epochs=5, patience=1)), dataset(), tmp_path)
    history = read_table(tmp_path / "history.parquet", SCHEMAS["history"])
    assert history.column("recall@10").to_pylist() == [None] * 5
    assert None not in history.column("loss").to_pylist()
    best, last = (load_file(tmp_path / name) for name in ("weights.safetensors", "last.safetensors"))
    assert all(torch.equal(best[name], last[name]) for name in best)
    with pytest.raises(CheckpointError, match="makes no recommendations"):
        load(tmp_path, dataset())


@pytest.mark.parametrize("name", MODELS)
def test_the_registry_knows_which_models_are_validated(name):
    assert MODELS[name].validated == getattr(MODELS[name].network_class(), "validated", True)


@pytest.mark.parametrize(
    ("settings", "data", "named"),
    [
        (changed(SASREC, dim=32), {}, "weights.safetensors: input.norm.bias"),
        (changed(SASREC, layers=3), {}, r"transformer\.blocks\.2"),
        (changed(SASREC, layers=1), {}, r"transformer\.blocks\.1"),
        (changed(SASREC, heads=4), {}, "heads"),
        (SASREC, {"items": "others"}, "other items by their ids(.|\n)*shop, k_core 3"),
    ],
)
def test_a_start_that_does_not_fit_is_an_error_that_names_it(folder, settings, data, named):
    with pytest.raises(CheckpointError, match=named) as caught:
        untrained(2, chosen("sasrec", settings), dataset(**data), start=folder)
    assert caught.value.details.keys() == {"where", "expected", "found", "fix"}


def test_a_start_of_another_length_is_an_error(folder):
    with pytest.raises(CheckpointError, match=r"input\.position\.weight"):
        untrained(2, chosen("sasrec", SASREC, changed(TRAINER, max_length=9)), dataset(), start=folder)


def test_a_start_of_another_model_is_an_error(folder):
    with pytest.raises(CheckpointError, match="weights of this model") as caught:
        untrained(2, chosen(), dataset("digest"), start=folder)
    assert (caught.value.details["expected"], caught.value.details["found"]) == ("mmsrec", "sasrec")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"digest": "another"}, "features of other encoders(.|\n)*digest another"),
        ({"digest": "d", "weights": "fitted elsewhere"}, "features of other encoders(.|\n)*fitted elsewhere"),
        ({"digest": "d", "width": 9}, "embedding.project.text"),
    ],
)
def test_a_start_on_other_features_is_an_error(tmp_path, data, named):
    train(EXPERIMENT, chosen(), dataset("d"), tmp_path / "start")
    with pytest.raises(CheckpointError, match=named):
        untrained(2, chosen(), dataset(**data), start=tmp_path / "start")


def test_a_model_of_features_may_start_in_another_domain(tmp_path):
    train(EXPERIMENT, chosen(), dataset("d"), tmp_path / "start")
    *_, start = untrained(2, chosen(settings=SETTINGS), dataset("d", items="others"), start=tmp_path / "start")
    assert start.experiment["domain"] == "shop"


def test_features_move_with_the_whitening_of_the_start(tmp_path):
    whitened = chosen(settings=changed(SETTINGS, whiten=True))
    train(EXPERIMENT, whitened, dataset("d"), tmp_path / "start")
    other = dataset("d", items="others")
    other.features["text"].vectors_IF.mul_(3).add_(1)
    model, *_ = untrained(2, whitened, other, start=tmp_path / "start")
    weights = read_weights(tmp_path / "start")
    names = [name for name in weights if "whiten" in name]
    assert len(names) == 2
    assert all(torch.equal(model.state_dict()[name], weights[name]) for name in names)
    fitted, *_ = untrained(2, whitened, other)
    assert not torch.equal(fitted.state_dict()[names[0]], weights[names[0]])


def test_a_start_with_vectors_of_other_items_is_an_error(tmp_path):
    with_ids = chosen(settings=changed(SETTINGS, item_embedding=True))
    train(EXPERIMENT, with_ids, dataset("d"), tmp_path / "start")
    *_, start = untrained(2, with_ids, dataset("d"), start=tmp_path / "start")
    assert "item_embedding.weight" in start.loaded
    for model in (with_ids, chosen()):
        with pytest.raises(CheckpointError, match=r"other items by their ids(.|\n)*item_embedding: false"):
            untrained(2, model, dataset("d", items="others"), start=tmp_path / "start")


@pytest.mark.parametrize(
    ("key", "value"), [("objective", "causal"), ("missing", "drop"), ("item_position", "first"), ("positions", "start")]
)
def test_a_start_whose_weights_are_read_differently_is_an_error(tmp_path, key, value):
    train(EXPERIMENT, chosen(), dataset("d"), tmp_path / "start")
    with pytest.raises(CheckpointError, match=rf"read differently(.|\n)*{key}"):
        untrained(2, chosen(settings=changed(SETTINGS, **{key: value})), dataset("d"), start=tmp_path / "start")


def test_a_missing_folder_and_a_missing_file_are_errors_that_name_them(folder, tmp_path):
    with pytest.raises(ArtifactError, match=r"nowhere/config\.json"):
        untrained(2, IDS, dataset(), start=tmp_path / "nowhere")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"start/weights\.safetensors"):
        untrained(2, IDS, dataset(), start=folder)


def test_a_tensor_that_nobody_names_is_an_error_and_nothing_changes(folder):
    weights = read_weights(folder)
    write_weights(folder, weights | {"extra.weight": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"extra\.weight"):
        untrained(2, IDS, dataset(), start=folder)

    model, *_ = untrained(2, IDS, dataset())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"input\.norm\.bias"):
        take_tensors(model, {name: tensor for name, tensor in weights.items() if name != "input.norm.bias"})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_tensors_that_are_named_are_left_out(folder):
    model, *_ = untrained(2, IDS, dataset())
    weights = read_weights(folder)
    before = model.item.weight.clone()
    del weights["item.weight"]
    taken = take_tensors(model, weights | {"head.weight": torch.ones(2)}, new=["item.weight"], unused=["head.weight"])
    assert (taken.new, taken.unused) == (["item.weight"], ["head.weight"])
    assert torch.equal(model.item.weight, before)
    assert torch.equal(model.input.norm.bias, weights["input.norm.bias"])
