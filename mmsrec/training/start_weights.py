"""Fine-tuning that starts from a pre-trained item encoder: no tensor on either side is left out silently."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmsrec.errors import CheckpointError
from mmsrec.features.encoders import digest_of
from mmsrec.files import sha256
from mmsrec.models.mmsrec_settings import ItemEncoderSettings
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.settings.row import Frozen
from mmsrec.settings.trainer import PretrainedLayers
from mmsrec.training.encoder_folder import PretrainedConfig, read_pretrained_config
from mmsrec.training.weights import NAME, read_weights

logger = logging.getLogger(__name__)

# Positions start at random, because a sequence has many. The released code drops the pre-trained ones as well.
NEW = frozenset({"embedding.position.weight"})
# Whitening keeps the map that the model fitted to its own items. Under that of a corpus, other items are not white.
WHITENING = ("embedding.whiten.{}.mean", "embedding.whiten.{}.matrix")
# Tensors that serve one modality; a variant without that modality does not load them.
OF_MODALITY = (
    "embedding.project.{}.weight",
    "embedding.project.{}.bias",
    "embedding.project_norm.{}.weight",
    "embedding.project_norm.{}.bias",
    "embedding.modality.{}",
    "output.{}.weight",
    "output.{}.bias",
    "output_norm.{}.weight",
    "output_norm.{}.bias",
)
# First part of the names of the input layer's tensors: the embeddings of features, of modalities and of the [mask].
INPUT = "embedding."
# Settings of the item encoder that no tensor's shape shows, or that are easier to read than a missing tensor.
EQUAL = ("heads", "whiten", "final_norm", "output_norm", "item_position")


class Transfer(Frozen):
    """The tensors that were loaded and those that were not, by name.

    Attributes:
        weights: SHA-256 of the file of pre-trained weights.
        loaded: tensors of the item encoder that came from the file.
        new: tensors of the item encoder that keep their values: positions and tensors that pre-training left untrained,
            which are random, and the whitening of the domain. Layers that take no weights are new, too.
        unused: tensors of the file that serve modalities which the item encoder does not read, the position of single
            items, and the whitening of the corpus. So are layers that nothing takes.
    """

    weights: str
    loaded: list[str]
    new: list[str]
    unused: list[str]


def transfer(
    folder: Path,
    encoder: ItemEncoder,
    settings: ItemEncoderSettings,
    encoder_digests: Mapping[str, str],
    layers: PretrainedLayers = "all",
) -> Transfer:
    """Loads pre-trained weights into an item encoder; an error leaves it unchanged.

    Args:
        folder: folder of the pre-trained item encoder.
        encoder: receives the weights.
        settings: settings that `encoder` was built from.
        encoder_digests: identity of the frozen encoder that made the features, by modality.
        layers: which layers take weights: all, or the input alone.

    Raises:
        ArtifactError: a file of the folder is missing.
        CheckpointError: the configuration, a modality, a frozen encoder, a setting or a tensor does not fit, or the
            file is damaged.
    """
    config = read_pretrained_config(folder)
    _check_modalities(folder, config, encoder_digests)
    for key in EQUAL:
        pretrained, wanted = getattr(config.settings, key), getattr(settings, key)
        if pretrained != wanted:
            raise _misfit(folder, key, pretrained, wanted)
    found, own = read_weights(folder), encoder.state_dict()
    fitted = {name.format(modality) for name in WHITENING for modality in config.widths}
    left_out = NEW | fitted
    if layers == "input":
        left_out |= {name for name in own.keys() | found.keys() if not name.startswith(INPUT)}
    new = sorted(own.keys() & (left_out | set(config.untrained)))
    loaded = sorted(own.keys() - set(new))
    unused = sorted(found.keys() - own.keys() | found.keys() & left_out)
    for name in loaded:
        source = found.get(_source(name))
        if source is None or source.shape != own[name].shape:
            raise _misfit(folder, name, _shape(source), _shape(own[name]))
    absent = config.widths.keys() - encoder_digests.keys()
    allowed = left_out | {name.format(modality) for name in OF_MODALITY for modality in absent}
    for name in set(unused) - allowed:
        raise _misfit(folder, name, _shape(found[name]), "no such tensor")
    with torch.no_grad():
        for name in loaded:
            own[name].copy_(found[_source(name)])
    logger.info("pre-trained %s: %d tensors loaded", config.name, len(loaded))
    logger.info("new: %s; unused: %s", ", ".join(new) or "none", ", ".join(unused) or "none")
    return Transfer(weights=sha256(folder / NAME), loaded=loaded, new=new, unused=unused)


def _source(name: str) -> str:
    """The pre-trained tensor that a tensor is loaded from; two separate towers start from one transformer."""
    return name.replace("item_transformer.", "transformer.", 1)


def _check_modalities(folder: Path, config: PretrainedConfig, encoder_digests: Mapping[str, str]) -> None:
    for modality, digest in encoder_digests.items():
        if modality not in config.widths:
            raise CheckpointError(
                "A variant reads a modality that was not pre-trained.",
                where=folder,
                expected=f"one of {', '.join(config.widths)}",
                found=modality,
                fix="Remove the modality or the key pretrained from the variant.",
            )
        if digest != (expected := digest_of(config.encoder_digest, modality)):
            raise CheckpointError(
                "Pre-training read features from another frozen encoder.",
                where=f"{folder}: {modality}",
                expected=f"features from the encoder {config.encoder} with digest {expected}",
                found=f"features from an encoder with digest {digest}",
                fix=f"Name {config.encoder} as the variant's encoder of {modality}, or pre-train with the other one.",
            )


def _misfit(folder: Path, name: str, found: object, expected: object) -> CheckpointError:
    return CheckpointError(
        "Pre-trained weights do not fit the model.",
        where=f"{folder / NAME}: {name}",
        expected=expected,
        found=found,
        fix="Give `pretraining` and the model the same dim, layers, heads, feedforward, whiten, final_norm, "
        "output_norm and item_position, and features of the same width.",
    )


def _shape(tensor: Tensor | None) -> str:
    return "no such tensor" if tensor is None else f"shape {list(tensor.shape)}"
