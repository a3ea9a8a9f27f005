import pytest
import torch

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import CheckpointError
from mmsrec.files import read_json, write_json
from mmsrec.models.dataset import Dataset
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.settings.plan import Experiment
from mmsrec.settings.pretraining import PretrainingRow, Weights
from mmsrec.training.distributed import Processes
from mmsrec.training.encoder_folder import load_untrained
from mmsrec.training.model_folder import load
from mmsrec.training.pretrain import pretrain
from mmsrec.training.start_weights import transfer
from mmsrec.training.train import train
from mmsrec.training.weights import read_weights, write_weights
from tests.unit.training.examples import PRETRAINING, SETTINGS, TRAINER, chosen, walks
from tests.unit.training.pairs import DIGEST, batch, corpus

ITEMS = 12
WIDTHS = {"vision": 10, "text": 8}
EXPERIMENT = Experiment("shop", 3, "source", "both", 1)


def pretrained(tmp_path, **changes):
    settings = PRETRAINING.model_copy(update={"max_epochs": 1} | changes)
    row = PretrainingRow(corpus="corpus", encoder="clip", seed=3)
    pretrain(
        "row", row, settings, corpus(tmp_path / "pairs", batch()), tmp_path / "pre", Processes(torch.device("cpu"))
    )
    return tmp_path / "pre"


@pytest.fixture
def folder(tmp_path):
    return pretrained(tmp_path)


def dataset(modalities=("vision", "text"), digest=DIGEST, widths=WIDTHS):
    torch.manual_seed(0)
    present = torch.ones(ITEMS, dtype=torch.bool)
    return Dataset(
        item_ids=[str(item) for item in range(ITEMS)],
        users=[str(user) for user in range(40)],
        sequences=walks(),
        features={name: Features(torch.randn(ITEMS, widths[name]), present) for name in modalities},
        inputs={"items.parquet": "digest"},
        encoder_digests=dict.fromkeys(modalities, digest),
    )


def model(settings=SETTINGS, **options):
    data = dataset(**options)
    inputs = ModelInputs(len(data.item_ids), data.features)
    return MMSRec(inputs, settings, TRAINER), settings, data.encoder_digests


def moved(folder, network, settings, digests):
    return transfer(folder, network.encoder, settings, digests)


def test_given_vectors_are_known_by_the_digest_of_their_modality(folder):
    config = folder / "config.json"
    write_json(config, read_json(config) | {"encoder_digest": "pictures texts"})
    network, settings, _ = model()
    moved(folder, network, settings, {"vision": "pictures", "text": "texts"})
    with pytest.raises(CheckpointError, match="digest pictures"):
        moved(folder, network, settings, {"vision": "texts", "text": "texts"})


def test_every_tensor_of_the_item_encoder_but_positions_is_loaded(folder):
    network, *rest = model()
    before = network.encoder.embedding.position.weight.clone()
    done = moved(folder, network, *rest)
    weights = read_weights(folder)
    assert done.loaded == sorted(weights)
    assert (done.new, done.unused) == (["embedding.position.weight"], [])
    state = network.encoder.state_dict()
    assert all(torch.equal(state[name], weights[name]) for name in done.loaded)
    assert torch.equal(network.encoder.embedding.position.weight, before)
    assert sorted([*done.loaded, *done.new]) == sorted(state)


@pytest.mark.parametrize("tower", ["shared", "own"])
def test_the_input_layer_alone_can_take_weights(folder, tower):
    network, settings, digests = model(settings=SETTINGS.model_copy(update={"item_tower": tower}))
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    done = transfer(folder, network.encoder, settings, digests, layers="input")
    weights, state = read_weights(folder), network.encoder.state_dict()
    taken = {name for name in weights if name.startswith("embedding.")}
    assert (set(done.loaded), set(done.unused)) == (taken, weights.keys() - taken)
    assert set(done.new) == state.keys() - taken
    assert all(torch.equal(state[name], weights[name]) for name in taken)
    assert all(torch.equal(state[name], before[name]) for name in done.new)


def test_the_input_layer_must_still_fit(tmp_path):
    folder = pretrained(tmp_path, dim=SETTINGS.dim * 2)
    network, settings, digests = model()
    with pytest.raises(CheckpointError, match="do not fit"):
        transfer(folder, network.encoder, settings, digests, layers="input")


def test_both_towers_start_from_the_pretrained_transformer(folder):
    network, *rest = model(settings=SETTINGS.model_copy(update={"item_tower": "own"}))
    done = moved(folder, network, *rest)
    weights = read_weights(folder)
    for tower in (network.encoder.transformer, network.encoder.item_transformer):
        state = tower.state_dict()
        assert state
        assert all(torch.equal(value, weights[f"transformer.{name}"]) for name, value in state.items())
    assert (done.new, done.unused) == (["embedding.position.weight"], [])
    assert {f"item_transformer.{name}" for name in state} <= set(done.loaded)


def test_whitening_stays_fitted_to_the_items_of_the_domain(tmp_path):
    folder = pretrained(tmp_path, whiten=True)
    network, *rest = model(settings=SETTINGS.model_copy(update={"whiten": True}))
    of_domain = network.encoder.embedding.whiten["text"].matrix.clone()
    of_corpus = load_untrained(folder).embedding.whiten["text"].matrix
    assert torch.equal(of_corpus, read_weights(folder)["embedding.whiten.text.matrix"])
    done = moved(folder, network, *rest)
    found = network.encoder.embedding.whiten["text"].matrix
    assert torch.equal(found, of_domain)
    assert not torch.equal(found, torch.eye(WIDTHS["text"]))
    assert not torch.equal(found, of_corpus)
    names = {f"embedding.whiten.{name}.{part}" for name in WIDTHS for part in ("mean", "matrix")}
    assert names <= set(done.new)
    assert names <= set(done.unused)


RELEASED = {"missing": "drop", "final_norm": True, "output_norm": "modality", "item_position": "first"}


def test_the_position_of_single_items_is_not_loaded(tmp_path):
    folder = pretrained(tmp_path, **RELEASED)
    network, *rest = model(settings=SETTINGS.model_copy(update=RELEASED))
    positions = network.encoder.embedding.position.weight.clone()
    done = moved(folder, network, *rest)
    assert {"transformer.final_norm.weight", "output_norm.text.bias"} <= set(done.loaded)
    assert {"embedding.position.weight"} == set(done.unused) <= set(done.new)
    assert read_weights(folder)["embedding.position.weight"].shape[0] == 1
    assert torch.equal(network.encoder.embedding.position.weight, positions)


@pytest.mark.parametrize("modality", ["vision", "text"])
def test_a_norm_of_another_modality_is_left_unused(tmp_path, modality):
    folder = pretrained(tmp_path, output_norm="modality")
    network, *rest = model(modalities=(modality,), settings=SETTINGS.model_copy(update={"output_norm": "modality"}))
    (other,) = WIDTHS.keys() - {modality}
    assert {f"output_norm.{other}.weight", f"output_norm.{other}.bias"} <= set(moved(folder, network, *rest).unused)


@pytest.mark.parametrize("modality", ["vision", "text"])
def test_a_model_with_one_modality_leaves_the_tensors_of_the_other_unused(folder, modality):
    network, *rest = model(modalities=(modality,))
    done = moved(folder, network, *rest)
    (other,) = WIDTHS.keys() - {modality}
    assert len(done.unused) == 7
    assert all(other in name for name in done.unused)
    assert torch.equal(network.encoder.output[modality].weight, read_weights(folder)[f"output.{modality}.weight"])


def test_tensors_without_gradient_in_pretraining_are_new(tmp_path):
    vision_alone = Weights(vv=1.0, tt=0.0, vt=0.0, both=0.0)
    folder = pretrained(tmp_path, missing="drop", weights=vision_alone)
    network, *rest = model()
    mask = network.encoder.embedding.mask.weight.clone()
    done = moved(folder, network, *rest)
    assert {"embedding.mask.weight", "output.text.weight", "embedding.position.weight"} <= set(done.new)
    assert torch.equal(network.encoder.embedding.mask.weight, mask)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"settings": SETTINGS.model_copy(update={"dim": 32})}, "embedding.mask.weight"),
        ({"settings": SETTINGS.model_copy(update={"layers": 3})}, "transformer.blocks.2"),
        ({"settings": SETTINGS.model_copy(update={"layers": 1})}, "transformer.blocks.1"),
        ({"settings": SETTINGS.model_copy(update={"heads": 4})}, "heads"),
        ({"settings": SETTINGS.model_copy(update={"final_norm": True})}, "final_norm"),
        ({"settings": SETTINGS.model_copy(update={"output_norm": "modality"})}, "output_norm"),
        ({"settings": SETTINGS.model_copy(update={"item_position": "first"})}, "item_position"),
        ({"settings": SETTINGS.model_copy(update={"whiten": True})}, "whiten"),
        ({"widths": WIDTHS | {"text": 9}}, "embedding.project.text.weight"),
        ({"digest": "another"}, "digest another"),
    ],
)
def test_a_mismatch_is_an_error_that_names_it_and_changes_nothing(folder, options, named):
    network, *rest = model(**options)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=named) as caught:
        moved(folder, network, *rest)
    assert {"expected", "found", "fix"} <= caught.value.details.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_modality_that_was_not_pretrained_is_an_error(folder):
    network, settings, digests = model()
    with pytest.raises(CheckpointError, match="sound"):
        moved(folder, network, settings, digests | {"sound": DIGEST})


def test_an_extra_or_a_missing_tensor_is_an_error(folder):
    weights = read_weights(folder)
    network, *rest = model()
    write_weights(folder, weights | {"extra.weight": torch.ones(1)})
    with pytest.raises(CheckpointError, match=r"extra\.weight"):
        moved(folder, network, *rest)
    del weights["output_norm.bias"]
    write_weights(folder, weights)
    with pytest.raises(CheckpointError, match=r"output_norm\.bias"):
        moved(folder, network, *rest)


def test_a_model_that_started_from_pretrained_weights_is_loaded_without_them(folder, tmp_path):
    trainer = TRAINER.model_copy(update={"max_epochs": 1})
    for name, start in (("random", None), ("pretrained", folder)):
        train(EXPERIMENT, chosen(trainer=trainer), dataset(), tmp_path / name, start)
    first, second = (
        read_table(tmp_path / name / "history.parquet", SCHEMAS["history"]) for name in ("random", "pretrained")
    )
    assert first.column("loss") != second.column("loss")
    config = read_json(tmp_path / "pretrained" / "config.json")
    assert config["pretrained"]["new"] == ["embedding.position.weight"]
    assert read_json(tmp_path / "random" / "config.json")["pretrained"] is None

    for path in folder.iterdir():
        path.unlink()
    scores = [load(tmp_path / name, dataset()).scores(torch.tensor([[0, 1]])) for name in ("random", "pretrained")]
    assert not torch.allclose(*scores)


def test_a_model_without_an_item_encoder_cannot_start_from_one(folder, tmp_path):
    with pytest.raises(CheckpointError, match="no item encoder"):
        train(EXPERIMENT, chosen("pop"), dataset(modalities=()), tmp_path / "pop", folder)
