"""Fine-tuning starts from pre-trained weights: every tensor of either side is accounted for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmsrec.errors import CheckpointError
from mmsrec.files import sha256
from mmsrec.models.mmsrec_settings import ItemEncoderSettings
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.training.encoder_folder import PretrainedConfig, read_pretrained_config
from mmsrec.training.weights import NAME, read_weights

logger = logging.getLogger(__name__)

# What sequences need and single items do not.
NEW = frozenset({"embedding.position.weight"})
# The tensors that serve one modality; a variant without it leaves them unused.
OF_MODALITY = (
    "embedding.whiten.{}.mean",
    "embedding.whiten.{}.matrix",
    "embedding.project.{}.weight",
    "embedding.project.{}.bias",
    "embedding.project_norm.{}.weight",
    "embedding.project_norm.{}.bias",
    "embedding.modality.{}",
    "output.{}.weight",
    "output.{}.bias",
)


@dataclass(frozen=True)
class Transfer:
    """What became of the tensors.

    Attributes:
        weights: SHA-256 of the pre-trained weights.
        loaded: taken from them.
        new: of the item encoder, drawn at random: positions, and what pre-training never reached.
        unused: of the pre-trained weights, for modalities that the item encoder does not read.
    """

    weights: str
    loaded: list[str]
    new: list[str]
    unused: list[str]


def transfer(
    folder: Path, encoder: ItemEncoder, settings: ItemEncoderSettings, encoder_digests: Mapping[str, str]
) -> Transfer:
    """Loads pre-trained weights into an item encoder.

    Args:
        folder: of the pre-trained item encoder.
        encoder: to be loaded into.
        settings: that it was built from.
        encoder_digests: identity of the frozen encoder behind its features, by modality.

    Raises:
        ArtifactError: a file of the folder is missing.
        CheckpointError: a modality, a frozen encoder, a setting or a tensor does not fit, or the file is damaged.
    """
    config = read_pretrained_config(folder)
    _check_modalities(folder, config, encoder_digests)
    if config.settings["heads"] != settings.heads:
        raise _misfit(folder, "heads", config.settings["heads"], settings.heads)
    found, wanted = read_weights(folder), encoder.state_dict()
    new = sorted(wanted.keys() & (NEW | set(config.untrained)))
    loaded = sorted(wanted.keys() - set(new))
    unused = sorted(found.keys() - wanted.keys())
    for name in loaded:
        source = found.get(_source(name))
        if source is None or source.shape != wanted[name].shape:
            raise _misfit(folder, name, _shape(source), _shape(wanted[name]))
    absent = config.widths.keys() - encoder_digests.keys()
    needless = {name.format(modality) for name in OF_MODALITY for modality in absent}
    for name in set(unused) - needless:
        raise _misfit(folder, name, _shape(found[name]), "no such tensor")
    with torch.no_grad():
        for name in loaded:
            wanted[name].copy_(found[_source(name)])
    logger.info("pre-trained %s: %d tensors loaded", config.name, len(loaded))
    logger.info("new: %s; unused: %s", ", ".join(new) or "none", ", ".join(unused) or "none")
    return Transfer(sha256(folder / NAME), loaded, new, unused)


def _source(name: str) -> str:
    """The pre-trained tensor that one begins as: two towers of their own begin as the same transformer."""
    return name.replace("item_transformer.", "transformer.", 1)


def _check_modalities(folder: Path, config: PretrainedConfig, encoder_digests: Mapping[str, str]) -> None:
    for modality, digest in encoder_digests.items():
        if modality not in config.widths:
            raise CheckpointError(
                "A variant reads a modality that was not pre-trained.",
                where=folder,
                expected=f"one of {', '.join(config.widths)}",
                found=modality,
                fix="Take the modality out of the variant, or leave out its pre-training.",
            )
        if digest != config.encoder_digest:
            raise CheckpointError(
                "Pre-training saw features of another frozen encoder.",
                where=f"{folder}: {modality}",
                expected=f"features by the encoder {config.encoder} with digest {config.encoder_digest}",
                found=f"features by an encoder with digest {digest}",
                fix=f"Let the variant's {modality} come from {config.encoder}, or pre-train with the other encoder.",
            )


def _misfit(folder: Path, name: str, found: object, expected: object) -> CheckpointError:
    return CheckpointError(
        "Pre-trained weights do not fit the model.",
        where=f"{folder / NAME}: {name}",
        expected=expected,
        found=found,
        fix="Give `pretraining` and `training` the same dim, layers, heads, feedforward and whiten, and features of "
        "one width.",
    )


def _shape(tensor: Tensor | None) -> str:
    return "no such tensor" if tensor is None else f"shape {list(tensor.shape)}"
