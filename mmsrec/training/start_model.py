"""Training that starts from another trained model: its features, its items and all its tensors must fit."""

import logging
from collections.abc import Iterable
from pathlib import Path

from mmsrec.errors import CheckpointError
from mmsrec.files import sha256
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.models.registry import MODELS
from mmsrec.settings.params import ModelSettings
from mmsrec.training.model_folder import Config, Start, read_config
from mmsrec.training.weights import NAME, read_weights

logger = logging.getLogger(__name__)

# The setting of a model of features that gives each item a trained vector, too.
OWN_VECTORS = "item_embedding"
ITEMS = "items.parquet"


def start_from(folder: Path, model: TrainedRecommender, chosen: ModelSettings, dataset: Dataset) -> Start:
    """Loads the weights of a trained model into another one before its training; an error changes nothing.

    Args:
        folder: folder of the trained model to start from.
        model: receives the weights.
        chosen: the model and the settings that it was built from.
        dataset: the data set to train on.

    Raises:
        ArtifactError: a file of the folder is missing.
        CheckpointError: the start is another model or has other items, features, settings or tensors, or its files are
            damaged.
    """
    config = read_config(folder)
    _check_model(folder, config, chosen)
    _check_settings(folder, config, chosen, model.read_by)
    if MODELS[chosen.model].reads_features:
        _check_features(folder, config, dataset)
    if not MODELS[chosen.model].reads_features or config.settings.get(OWN_VECTORS):
        _check_items(folder, config, dataset)
    weights = read_weights(folder)
    try:
        taken = model.take(weights, config)
    except CheckpointError as error:
        where = f"{folder / NAME}: {error.details['where']}"
        raise CheckpointError(error.what, **error.details | {"where": where}) from error
    logger.info("start %s: %d tensors loaded", folder, len(taken.loaded))
    logger.info("new: %s; unused: %s", ", ".join(taken.new) or "none", ", ".join(taken.unused) or "none")
    return Start(experiment=config.experiment, weights=sha256(folder / NAME), **taken.model_dump())


def _check_model(folder: Path, config: Config, chosen: ModelSettings) -> None:
    known = MODELS[chosen.model].starts
    if config.model not in known:
        raise CheckpointError(
            "The training cannot start from the weights of this model.",
            where=folder,
            expected=" or ".join(sorted(known)) or f"no start, because {chosen.model} starts from random weights",
            found=config.model,
            fix="Name another variant in starts_from, or the folder of another model.",
        )


def _check_settings(folder: Path, config: Config, chosen: ModelSettings, read_by: Iterable[str]) -> None:
    own = chosen.settings.model_dump(mode="json")
    for key in read_by:
        if key in own and own[key] != config.settings.get(key, own[key]):
            raise CheckpointError(
                "The start was trained with another setting, under which its weights are read differently.",
                where=f"{folder}: {key}",
                expected=own[key],
                found=config.settings[key],
                fix="Give both variants the same value.",
            )


def _check_items(folder: Path, config: Config, dataset: Dataset) -> None:
    if config.inputs.get(ITEMS) != dataset.inputs.get(ITEMS):
        core = "{domain}, k_core {k_core}".format(**config.experiment)
        raise CheckpointError(
            "The start knows other items by their ids.",
            where=folder,
            expected="a model of the same domain and k_core, trained on the same items.parquet",
            found=f"a model of {core}",
            fix="Leave out the domain of starts_from, or train the start again. A model of features alone may start in "
            f"another domain: give the start {OWN_VECTORS}: false.",
        )


def _check_features(folder: Path, config: Config, dataset: Dataset) -> None:
    for what, found, expected in (
        ("the encoder with the digest", config.encoder_digests, dataset.encoder_digests),
        ("an encoder whose weights have the SHA-256", config.encoder_weights, dataset.encoder_weights),
    ):
        if found != expected:
            raise CheckpointError(
                "The start was trained on features of other encoders.",
                where=folder,
                expected=_described(what, expected),
                found=_described(what, found),
                fix="Give both variants the same encoders, and train the start again. An encoder that is fitted on the "
                "texts of a domain serves a start in the same domain only.",
            )


def _described(what: str, identities: dict[str, str]) -> str:
    return ", ".join(f"{modality} by {what} {identity}" for modality, identity in sorted(identities.items())) or "none"
