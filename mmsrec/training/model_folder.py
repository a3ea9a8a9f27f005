"""A trained model as a folder: config.json, history.parquet, weights.safetensors (best) and last.safetensors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import CheckpointError
from mmsrec.files import write_json
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import ModelInputs, Recommender
from mmsrec.models.registry import MODELS
from mmsrec.models.taken import Taken
from mmsrec.settings.data import Modality
from mmsrec.settings.params import ModelSettings
from mmsrec.settings.row import Frozen, Positive
from mmsrec.settings.trainer import Trainer
from mmsrec.training.checkpoint import TrainingState
from mmsrec.training.config_file import NAME, parse_config, read_config_file
from mmsrec.training.start_weights import Transfer
from mmsrec.training.weights import LAST, load_weights, write_weights

FIX = "Train the model again."


class Start(Taken):
    """The trained model that a training started from, and the account of its tensors.

    Attributes:
        experiment: the experiment of the start, as in its config.json.
        weights: SHA-256 of its file of weights.
    """

    experiment: dict[str, str | int]
    weights: str


class Part(Frozen):
    """A trained model that a blend sums.

    Attributes:
        experiment: its experiment, as in its config.json.
        weights: SHA-256 of its file of weights.
        model, settings, trainer: as in `Config`.
        modalities: the modalities of features that it reads.
    """

    experiment: dict[str, str | int]
    weights: str
    model: str
    settings: dict[str, Any]
    trainer: dict[str, Any]
    modalities: list[Modality]


class Config(Frozen):
    """Everything that decides the weights of a trained model.

    Attributes:
        experiment: domain, k_core, variant, seed.
        model: name of the model.
        settings: the model's own settings.
        trainer: settings of the training.
        items: number of items of the data set.
        inputs: SHA-256 of the tables and features that were read, by file name.
        pretrained: the tensors that came from pre-trained weights; None for a random start.
        encoder_digests: identity of the encoders that made the features, by modality.
        encoder_weights: SHA-256 of their weights, by modality.
        start: the trained model that training started from; None for another start.
        parts: the models that a blend sums, by variant.
        files: places of the files that were read, relative to the model's folder: items, sequences, attributes, and
            the features by modality.
    """

    experiment: dict[str, str | int]
    model: str
    settings: dict[str, Any]
    trainer: dict[str, Any]
    items: Positive
    inputs: dict[str, str]
    pretrained: Transfer | None
    encoder_digests: dict[str, str] = Field({})
    encoder_weights: dict[str, str] = Field({})
    start: Start | None = None
    parts: dict[str, Part] = Field({})
    files: dict[str, str] = Field({})


def build(chosen: ModelSettings, dataset: Dataset) -> Recommender:
    """The untrained network, on the device of the sequences; initial weights come from torch's global generator."""
    return _network(chosen, _inputs_of(dataset)).to(dataset.sequences.items_A.device)


def _network(chosen: ModelSettings, inputs: ModelInputs) -> Recommender:
    network = MODELS[chosen.model].network_class()
    if chosen.parts:
        return network([_network(part, inputs.of(part.modalities)) for part in chosen.parts.values()])
    return network(inputs, chosen.settings, chosen.trainer)


def _inputs_of(dataset: Dataset) -> ModelInputs:
    return ModelInputs(len(dataset.item_ids), dataset.features, dataset.attributes, dataset.known_K)


def write(folder: Path, config: Config, state: TrainingState) -> None:
    """Writes a trained model from the final state of its training."""
    columns = {name: [row.get(name) for row in state.history] for name in SCHEMAS["history"].names}
    write_table(folder / "history.parquet", pa.table(columns), SCHEMAS["history"])
    write_json(folder / NAME, config.model_dump())
    write_weights(folder, state.model, LAST)
    write_weights(folder, state.result)


def read_config(folder: Path) -> Config:
    """The config.json of a trained model.

    Raises:
        ArtifactError: the file is missing.
        CheckpointError: it is not JSON, or a key is unknown, missing or of the wrong type.
    """
    return read_config_file(folder, Config, FIX)


def load(folder: Path, dataset: Dataset) -> Recommender:
    """A trained model in evaluation mode, on the device of the data set's sequences.

    Args:
        folder: folder of the trained model.
        dataset: must have the inputs that the model was trained on.

    Raises:
        ArtifactError: a file is missing.
        CheckpointError: the configuration, the inputs or the weights do not fit, or the model is a pre-training.
    """
    config = read_config(folder)
    _check_inputs(folder, config, dataset)
    model = built(folder, config, _inputs_of(dataset)).to(dataset.sequences.items_A.device)
    load_weights(model, folder)
    return model.eval()


def built(folder: Path, config: Config, inputs: ModelInputs) -> Recommender:
    """The network of a trained model for some items, with random weights.

    Args:
        folder: folder of the trained model, for messages.
        config: its configuration.
        inputs: the items.

    Raises:
        CheckpointError: the model or its settings are unknown to this version, or the model is a pre-training.
    """
    if config.model in MODELS and not MODELS[config.model].validated:
        raise CheckpointError(
            "A pre-training on sequences makes no recommendations.",
            where=folder,
            expected="a model that is trained to recommend",
            found=config.model,
            fix="Name the variant that starts from it.",
        )
    return _network(stored_settings(folder, config), inputs)


def _check_inputs(folder: Path, config: Config, dataset: Dataset) -> None:
    names = config.inputs.keys() | dataset.inputs.keys()
    changed = sorted(name for name in names if config.inputs.get(name) != dataset.inputs.get(name))
    if changed:
        raise CheckpointError(
            "A model was trained on other inputs.",
            where=folder,
            expected=f"the {', '.join(changed)} that it was trained on",
            found="another content",
            fix=FIX,
        )


def stored_settings(folder: Path, config: Config) -> ModelSettings:
    """The settings of the model, of its training and of its parts, checked by today's classes."""
    chosen = _checked(folder, config)
    # The file has its keys in alphabetical order, and the weights follow the order of the setting.
    order = chosen.settings.parts if MODELS[config.model].blends else []
    blends = [name for name, part in config.parts.items() if part.model in MODELS and MODELS[part.model].blends]
    if sorted(order) != sorted(config.parts) or blends:
        raise CheckpointError(
            "The parts of a stored model are not those of its settings.",
            where=f"{folder / NAME}: parts",
            expected=", ".join(order) or "no parts",
            found=", ".join(config.parts) or "no parts",
            fix=FIX,
        )
    parts = {name: (_checked(folder, config.parts[name]), config.parts[name].modalities) for name in order}
    return replace(chosen, parts={name: replace(own, modalities=tuple(read)) for name, (own, read) in parts.items()})


def _checked(folder: Path, config: Config | Part) -> ModelSettings:
    """The settings of one model, without its parts."""
    path = folder / NAME
    if config.model not in MODELS:
        raise CheckpointError(
            "A stored model is unknown to this version of mmsrec.",
            where=f"{path}: model",
            expected=f"one of {', '.join(MODELS)}",
            found=config.model,
            fix=FIX,
        )
    return ModelSettings(
        config.model,
        parse_config(json.dumps(config.settings), MODELS[config.model].settings, path, FIX, "settings"),
        parse_config(json.dumps(config.trainer), Trainer, path, FIX, "trainer"),
    )
