import pickle
from pathlib import Path

import pytest
import torch

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.files import read_json, sha256
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn.views import Items, encode_views
from mmsrec.settings.pretraining import PretrainingRow
from mmsrec.training.encoder_folder import load_pretrained
from mmsrec.training.import_authors import import_authors
from mmsrec.training.start_weights import transfer
from mmsrec.training.weights import read_weights
from tests.unit.models.released import DIM, FEEDFORWARD, HEADS, LAYERS, MODALITIES, WIDTHS, Released
from tests.unit.training.examples import PRETRAINING, SETTINGS, TRAINER

SIZES = {"dim": DIM, "heads": HEADS, "layers": LAYERS, "feedforward": FEEDFORWARD}
SAME = {"missing": "drop", "final_norm": True, "output_norm": "modality", "item_position": "first"}
ROW = PretrainingRow(corpus="webvid", encoder="clip", seed=42)
LENGTH, ITEMS = 100, 6


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return Released(LENGTH)


@pytest.fixture
def file(theirs, tmp_path):
    return saved(theirs.checkpoint(), tmp_path)


def saved(state, folder):
    torch.save(state, folder / "fusion_model.pth")
    return folder / "fusion_model.pth"


def imported(file, folder, **changes):
    settings = PRETRAINING.model_copy(update=SIZES | SAME | changes)
    import_authors(file, folder, "theirs", ROW, settings, "right")
    return folder


def features():
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(ITEMS, WIDTHS[name], generator=generator) for name in MODALITIES}


def test_the_imported_encoder_has_the_vectors_of_the_checkpoint(theirs, file, tmp_path):
    assert sum(len(part) for part in theirs.checkpoint().values()) == 48
    encoder = load_pretrained(imported(file, tmp_path / "encoder"))
    present = {name: torch.ones(ITEMS, dtype=torch.bool) for name in MODALITIES}
    views = encode_views(encoder, Items(features(), present), ["v", "t", "vt"])
    tokens = theirs.features(features())
    for name, kept in (("v", [True, False]), ("t", [False, True]), ("vt", [True, True])):
        expected = theirs.items(tokens, torch.tensor(kept).expand(ITEMS, -1))
        torch.testing.assert_close(views[name].double(), expected, rtol=0, atol=1e-6)


def test_the_folder_tells_where_the_weights_are_from(file, tmp_path):
    folder = imported(file, tmp_path / "encoder")
    config = read_json(folder / "config.json")
    assert (config["imported"], config["encoder_digest"]) == (sha256(file), "right")
    assert (config["pairs"], config["corpus_digest"], config["widths"]) == (None, None, WIDTHS)
    assert read_table(folder / "history.parquet", SCHEMAS["pretrain_history"]).num_rows == 0


def test_fine_tuning_starts_from_the_imported_weights(theirs, file, tmp_path):
    folder, present = imported(file, tmp_path / "encoder"), torch.ones(ITEMS, dtype=torch.bool)
    settings = SETTINGS.model_copy(update=SIZES | SAME)
    inputs = ModelInputs(ITEMS, {name: Features(vectors, present) for name, vectors in features().items()})
    model = MMSRec(inputs, settings, TRAINER)
    done = transfer(folder, model.encoder, settings, dict.fromkeys(MODALITIES, "right"))
    assert done.new == done.unused == ["embedding.position.weight"]
    assert done.weights == sha256(folder / "weights.safetensors")
    types = theirs.embedding["modal_type_embeddings"].weight.detach().float()
    for row, name in enumerate(MODALITIES):
        assert torch.equal(model.encoder.embedding.modality[name], types[row])
    assert done.loaded == sorted(read_weights(folder).keys() - {"embedding.position.weight"})


def test_importing_twice_gives_the_same_bytes(file, tmp_path):
    files = [{path.name: path.read_bytes() for path in imported(file, tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]


def without(state, part, key):
    return state | {part: {name: value for name, value in state[part].items() if name != key}}


def changed(state, part, key, value):
    return state | {part: state[part] | {key: value}}


NORM, TYPES = "transform.norm.weight", "modal_type_embeddings.weight"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: changed(state, "blocks", "extra", torch.ones(1)), r"blocks\.extra"),
        (lambda state: without(state, "blocks", NORM), r"blocks\.transform\.norm\.weight"),
        (lambda state: without(state, "input", "text_transform.weight"), r"input\.text_transform\.weight"),
        (lambda state: without(state, "embedding", "prompt_embeddings.weight"), "prompt_embeddings"),
        (lambda state: changed(state, "blocks", NORM, torch.ones(DIM + 1)), r"shape \[17\]"),
        (lambda state: changed(state, "embedding", TYPES, torch.ones(3, DIM)), "modal_type"),
        (lambda state: changed(state, "embedding", "position_embeddings.weight", torch.ones(0, DIM)), "position"),
        (lambda state: changed(state, "blocks", NORM, torch.full((DIM,), torch.nan)), r"norm\.weight"),
        (lambda state: changed(state, "blocks", NORM, torch.ones(DIM, dtype=torch.int64)), r"norm\.weight"),
        (lambda state: changed(state, "blocks", NORM, torch.ones(DIM).to_sparse()), r"norm\.weight"),
        (lambda state: changed(state, "blocks", NORM, "one"), r"norm\.weight"),
        (lambda state: state | {"optimizer": {}}, "optimizer"),
        (lambda state: {name: part for name, part in state.items() if name != "output"}, "output"),
        (lambda state: state | {"output": torch.ones(1)}, "output"),
        (lambda state: [state], "list"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_that_names_it(theirs, tmp_path, change, named):
    file = saved(change(theirs.checkpoint()), tmp_path)
    with pytest.raises(CheckpointError, match=named) as caught:
        imported(file, tmp_path / "encoder")
    assert {"where", "expected", "found", "fix"} <= caught.value.details.keys()
    assert not (tmp_path / "encoder").exists()


@pytest.mark.parametrize("layers", [1, 3])
def test_another_number_of_layers_is_an_error(file, tmp_path, layers):
    with pytest.raises(CheckpointError, match=r"layers\.[12]"):
        imported(file, tmp_path / "encoder", layers=layers)


@pytest.mark.parametrize("kept", [0, 10, 1000, -1])
def test_a_truncated_file_is_an_error(file, tmp_path, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="cannot be read"):
        imported(file, tmp_path / "encoder")


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state, protocol=2))])
def test_code_in_a_file_does_not_run(theirs, tmp_path, write):
    file = tmp_path / "fusion_model.pth"
    write(theirs.checkpoint() | {"input": Touch(tmp_path / "touched")}, file)
    with pytest.raises(CheckpointError, match="cannot be read"):
        imported(file, tmp_path / "encoder")
    assert not (tmp_path / "touched").exists()


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match="missing"):
        imported(tmp_path / "none.pth", tmp_path / "encoder")


@pytest.mark.parametrize("change", [{name: None} for name in SAME] + [{"whiten": True}])
def test_other_settings_than_the_released_ones_are_an_error(file, tmp_path, change):
    (key,) = change
    with pytest.raises(CheckpointError, match=rf"pretrainings\.theirs\.settings\.{key}"):
        imported(file, tmp_path / "encoder", **change)
