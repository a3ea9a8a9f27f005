"""A blend of trained models as a folder, and the parts that it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.features.feature_file import Provenance, write_features
from mmsrec.files import read_json, sha256, write_json
from mmsrec.models.blend_settings import BlendSettings
from mmsrec.models.dataset import FeatureInput, read_dataset
from mmsrec.settings.params import ModelSettings
from mmsrec.settings.plan import Experiment
from mmsrec.training.model_folder import load
from mmsrec.training.train import train
from tests.unit.models.examples import SASREC, TRAINER, changed
from tests.unit.training.examples import chosen
from tests.unit.training.test_model_folder import CPU, ITEMS, write_shop

EXPERIMENT = Experiment("shop", 3, "source", "variant", 1)
IDS = chosen("sasrec", SASREC)
TEXTS = replace(chosen(), modalities=("text",))
# Not in alphabetical order, which is that of config.json.
BLEND = ModelSettings(
    "blend",
    BlendSettings(parts=["texts", "ids"], users=20),
    TRAINER,
    modalities=("text", "vision"),
    parts={"texts": TEXTS, "ids": IDS},
)
HISTORIES = torch.tensor([[0, 1, 2], [5, 6, 7]])


@pytest.fixture
def shop(tmp_path):
    write_shop(tmp_path, actions=5)
    for modality in ("text", "vision"):
        vectors = np.eye(8, dtype=np.float32)
        source = Provenance("lsa", "right", "", modality, "")
        write_features(tmp_path / f"{modality}.parquet", ITEMS, [1] * len(ITEMS), vectors, source)
    train(EXPERIMENT, TEXTS, dataset(tmp_path, "text"), tmp_path / "texts")
    train(EXPERIMENT, IDS, dataset(tmp_path), tmp_path / "ids")
    return tmp_path


def dataset(shop, *modalities):
    files = {modality: FeatureInput(shop / f"{modality}.parquet", "right") for modality in modalities}
    return read_dataset(shop / "data/items.parquet", shop / "data/sequences.parquet", files, CPU)


def blended(shop, chosen=BLEND, parts=("texts", "ids")):
    whole = dataset(shop, "text", "vision")
    train(EXPERIMENT, chosen, whole, shop / "blend", parts=[shop / name for name in parts])
    return load(shop / "blend", whole)


def test_a_stored_blend_has_the_weighted_scores_of_its_parts(shop):
    blend = blended(shop)
    parts = [load(shop / "texts", dataset(shop, "text")), load(shop / "ids", dataset(shop))]
    expected = sum(weight * part.scores(HISTORIES) for weight, part in zip(blend.weights_P, parts, strict=True))
    expected = expected.scatter_add(1, HISTORIES, blend.repeat.expand(HISTORIES.shape))
    torch.testing.assert_close(blend.scores(HISTORIES), expected)
    record = read_json(shop / "blend" / "config.json")
    assert record["parts"]["ids"]["weights"] == sha256(shop / "ids" / "weights.safetensors")
    assert record["parts"]["texts"]["modalities"] == ["text"]


def test_a_second_run_has_the_same_bytes(shop):
    blended(shop)
    first = sha256(shop / "blend" / "weights.safetensors")
    blended(shop)
    assert sha256(shop / "blend" / "weights.safetensors") == first


def test_a_part_with_another_model_or_other_settings_is_refused(shop):
    wider = replace(BLEND, parts={"texts": TEXTS, "ids": replace(IDS, settings=changed(SASREC, dim=32))})
    with pytest.raises(CheckpointError, match=r"ids: dim\n.*expected: 32\n.*found: 16\n.*Train the part again"):
        blended(shop, wider)
    faster = replace(BLEND, parts={"texts": TEXTS, "ids": replace(IDS, trainer=changed(TRAINER, learning_rate=0.1))})
    with pytest.raises(CheckpointError, match=r"ids: trainer: learning_rate\n"):
        blended(shop, faster)
    with pytest.raises(CheckpointError, match=r"ids: model\n.*expected: mmsrec\n.*found: sasrec"):
        blended(shop, parts=("ids", "texts"))


def test_a_part_of_other_features_or_without_weights_is_refused(shop):
    vectors = 2 * np.eye(8, dtype=np.float32)
    write_features(shop / "text.parquet", ITEMS, [1] * 8, vectors, Provenance("lsa", "right", "", "text", ""))
    with pytest.raises(CheckpointError, match=r"texts: text\.parquet\n"):
        blended(shop)
    train(EXPERIMENT, TEXTS, dataset(shop, "text"), shop / "texts")
    (shop / "ids" / "weights.safetensors").unlink()
    with pytest.raises(ArtifactError, match="weights are missing"):
        blended(shop)


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record["parts"].pop("ids"),
        lambda record: record.update(parts={}),
        lambda record: record["parts"]["ids"].update(model="blend", settings={"parts": ["a", "b"], "users": 1}),
        lambda record: record["settings"].update(parts=["texts", "moon"]),
        lambda record: record["parts"]["ids"].update(settings={}),
    ],
)
def test_a_record_whose_parts_do_not_fit_is_refused(shop, edit):
    blended(shop)
    record = read_json(shop / "blend" / "config.json")
    edit(record)
    write_json(shop / "blend" / "config.json", record)
    with pytest.raises(CheckpointError):
        load(shop / "blend", dataset(shop, "text", "vision"))
