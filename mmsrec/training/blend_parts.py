"""The trained models that a blend sums: they are loaded into it, after a check that they belong to the experiment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmsrec.errors import CheckpointError
from mmsrec.files import sha256
from mmsrec.models.blend import Blend
from mmsrec.models.dataset import Dataset
from mmsrec.models.registry import MODELS
from mmsrec.settings.params import ModelSettings
from mmsrec.training.model_folder import Config, Part, read_config, stored_settings
from mmsrec.training.weights import NAME, load_weights


def load_parts(folders: Sequence[Path], model: Blend, chosen: ModelSettings, dataset: Dataset) -> dict[str, Part]:
    """Loads the weights of trained models into a blend.

    Args:
        folders: folders of the trained models, in the order of the parts.
        model: receives the weights.
        chosen: the settings that the blend was built from.
        dataset: the data set of the blend.

    Returns:
        What config.json records of each part, by variant.

    Raises:
        ArtifactError: a file of a folder is missing.
        CheckpointError: a part has other settings or other inputs than the blend, or its weights are damaged.
    """
    loaded = {}
    for folder, network, (variant, part) in zip(folders, model.parts, chosen.parts.items(), strict=True):
        config = read_config(folder)
        _check(folder, config, part, dataset)
        load_weights(network, folder)
        loaded[variant] = Part(
            experiment=config.experiment,
            weights=sha256(folder / NAME),
            model=config.model,
            settings=config.settings,
            trainer=config.trainer,
            modalities=list(part.modalities),
        )
    return loaded


def _check(folder: Path, config: Config, part: ModelSettings, dataset: Dataset) -> None:
    stored = stored_settings(folder, config)
    expected = _decisive(part) | dataset.inputs
    found = _decisive(stored) | config.inputs
    for key, value in found.items():
        if value != expected.get(key):
            raise CheckpointError(
                "A part of a blend was trained with other settings or inputs.",
                where=f"{folder}: {key}",
                expected=expected.get(key),
                found=value,
                fix="Train the part again.",
            )


def _decisive(chosen: ModelSettings) -> dict[str, Any]:
    """All that decides the weights of a model, besides its data and its seed."""
    trainer = chosen.trainer.model_dump(mode="json") if MODELS[chosen.model].trained else {}
    own = chosen.settings.model_dump(mode="json")
    return {"model": chosen.model, **own, **{f"trainer: {key}": value for key, value in trainer.items()}}
