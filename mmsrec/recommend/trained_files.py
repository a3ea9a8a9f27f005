"""A trained model, built for the catalogue that it was trained on, for further items, or for another catalogue."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError, CheckpointError, DataError, FeatureError
from mmsrec.features.feature_file import ItemVectors, read_features, read_provenance
from mmsrec.files import sha256
from mmsrec.models.attributes import Attributes
from mmsrec.models.recommender import Features, ModelInputs, Recommender
from mmsrec.recommend.catalogue import Catalogue, ItemFiles
from mmsrec.settings.data import Modality
from mmsrec.training.model_folder import Config, built, read_config
from mmsrec.training.weights import read_weights, set_weights

MODALITIES = get_args(Modality)


def catalogue_model(
    folder: Path, device: torch.device, new: Sequence[ItemFiles], catalogue: ItemFiles | None
) -> tuple[Recommender, Catalogue, Path | None]:
    """A trained model for a catalogue, the catalogue, and the sequences of the model's own users.

    Arguments and errors are those of `mmsrec.recommend.loaded.load`.
    """
    config = read_config(folder)
    own = _own_files(folder, config)
    if new or catalogue:
        _check_scores_others(folder, config)
    if catalogue is None:
        _check_unchanged(folder, config, own)
    parts = [catalogue or _item_files(own), *new]
    items = Catalogue.read([part.items for part in parts])
    features = {name: _features(name, parts, config, items) for name in MODALITIES if name in own}
    attributes = Attributes.read(own["attributes"], items.ids.to_list()) if "attributes" in own else None
    items = items.without_unknown(_featured(features, 0 if catalogue else config.items))
    model = built(folder, config, ModelInputs(len(items.ids), features, attributes)).to(device)
    trained = 0 if catalogue else config.items
    set_weights(model, _with_rows(read_weights(folder), model, trained), folder)
    return model.eval(), items, own.get("sequences")


def encoder_files(folder: Path) -> dict[str, Path]:
    """The feature files that a trained model read, by modality; none for a model of item ids.

    Raises:
        ArtifactError, CheckpointError: as for `mmsrec.recommend.loaded.load`.
    """
    return dict(_item_files(_own_files(folder, read_config(folder))).features)


def _own_files(folder: Path, config: Config) -> dict[str, Path]:
    """The files that the model was trained on, by role."""
    if not config.files:
        raise CheckpointError(
            "A trained folder does not record the files of its catalogue.",
            where=folder / "config.json",
            expected="the key files",
            found="a configuration of an earlier version of mmsrec",
            fix="Train the model again.",
        )
    return {role: Path(os.path.normpath(folder / file)) for role, file in config.files.items()}


def _item_files(own: Mapping[str, Path]) -> ItemFiles:
    return ItemFiles(own["items"], {role: own[role] for role in MODALITIES if role in own})


def _check_unchanged(folder: Path, config: Config, own: Mapping[str, Path]) -> None:
    for role, path in own.items():
        if not path.is_file():
            raise ArtifactError(
                "A file that a model was trained on is missing.",
                where=f"{role}: {path}",
                expected=f"the file that {folder} was trained on",
                fix="Run the stages that write it, or move the model's folder and its data together.",
            )
        if sha256(path) != config.inputs[path.name]:
            raise CheckpointError(
                "A file has changed since the model was trained on it.",
                where=path,
                expected=f"SHA-256 {config.inputs[path.name]}, as {folder / 'config.json'} records",
                found=f"SHA-256 {sha256(path)}",
                fix="Train the model again. New actions need no training: give them in a separate file.",
            )


def _check_scores_others(folder: Path, config: Config) -> None:
    if not any(modality in config.files for modality in MODALITIES):
        raise CheckpointError(
            "This model knows items by their ids alone, so it cannot score other items.",
            where=folder,
            expected="a model that reads features",
            found=config.model,
            fix="Train a variant with encoders, such as mmsrec-causal.",
        )


def _features(modality: str, parts: Sequence[ItemFiles], config: Config, items: Catalogue) -> Features:
    """The features of one modality, of all parts of a catalogue; an item of another part has no row in a file."""
    vectors, present = zip(*(_read(modality, part, config) for part in parts), strict=True)
    present_I = np.concatenate(present)
    if not present_I.any():
        raise DataError(
            "No item of the catalogue has these features.",
            where=", ".join(str(part.features[modality]) for part in parts),
            expected=f"{modality} features of some of the {len(items.ids):,} items",
            fix="Run extract_features for these items again.",
        )
    return Features(torch.from_numpy(np.concatenate(vectors)).float(), torch.from_numpy(present_I))


def _featured(features: Mapping[str, Features], trained: int) -> np.ndarray:
    """Which items a model can score: the trained ones at the start, and those with features of some modality."""
    if not features:
        return np.ones(trained, dtype=bool)
    featured_I = torch.stack([feature.present_I for feature in features.values()]).any(0)
    featured_I[:trained] = True
    return featured_I.numpy()


def _read(modality: str, part: ItemFiles, config: Config) -> ItemVectors:
    path = part.features.get(modality)
    if path is None or not path.is_file():
        raise FeatureError(
            f"The {modality} features of a catalogue are missing.",
            where=path or part.items,
            expected=f"{modality} features by the encoder that the model was trained with",
            fix="Extract them: name the catalogue as a target of Snakemake.",
        )
    made = read_provenance(path)
    for what, expected, found in (
        ("digest", config.encoder_digests[modality], made.digest),
        ("weights", config.encoder_weights[modality], made.weights),
    ):
        if expected != found:
            raise FeatureError(
                "The features of a catalogue come from another encoder than the model's.",
                where=path,
                expected=f"an encoder with the {what} {expected}",
                found=f"{made.encoder} with the {what} {found}",
                fix="Extract them with the model's encoder. An encoder that is fitted on texts serves its own domain, "
                "and items that are new there.",
            )
    return read_features(path, read_table(part.items, SCHEMAS["items"]).column("item_id"))


def _with_rows(weights: dict[str, Tensor], model: Recommender, trained: int) -> dict[str, Tensor]:
    """The weights for the model's items: rows of items that were not trained are zeros.

    Args:
        weights: tensors of the trained model.
        model: built for the catalogue.
        trained: how many items at the start of the catalogue are those of the training.
    """
    grown = dict(weights)
    for name in model.item_rows & weights.keys():
        grown[name] = weights[name].new_zeros(model.items, *weights[name].shape[1:])
        grown[name][:trained] = weights[name][:trained]
    return grown
