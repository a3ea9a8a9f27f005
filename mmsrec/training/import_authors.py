"""Imports the checkpoint of the authors' released code as a pre-trained item encoder."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.files import sha256, write_json
from mmsrec.settings.pretraining import Pretraining, PretrainingRow
from mmsrec.training.config_file import NAME
from mmsrec.training.encoder_folder import PretrainedConfig, untrained_encoder
from mmsrec.training.torch_file import NotReadable, read_torch_file
from mmsrec.training.weights import write_weights

# The modalities in the order of the rows of their `modal_type_embeddings`.
MODALITIES = ("vision", "text")
# The dictionaries of a checkpoint.
PARTS = ("input", "embedding", "blocks", "output")
# Settings of the released item encoder.
RELEASED = {
    "missing": "drop",
    "whiten": False,
    "final_norm": True,
    "output_norm": "modality",
    "item_position": "first",
}
# Their modules and ours, whose weights and biases have the same shapes.
MODULES = {
    "input.{m}_transform": "embedding.project.{m}",
    "input.{m}_layer_norm": "embedding.project_norm.{m}",
    "embedding.layer_norm": "embedding.norm",
    "blocks.transform.norm": "transformer.final_norm",
    "output.{m}_transform": "output.{m}",
    "output.{m}_layer_norm": "output_norm.{m}",
}
BLOCK_MODULES = {
    "self_attn.out_proj": "attention_output",
    "norm1": "attention_norm",
    "linear1": "expand",
    "linear2": "contract",
    "norm2": "feedforward_norm",
}
MASK, TYPES, POSITIONS, PROMPT = (
    f"embedding.{name}_embeddings.weight" for name in ("mask", "modal_type", "position", "prompt")
)
FIX = "Import the file that the released code's pre-training saved, with the settings of that pre-training."


def import_authors(
    file: Path, folder: Path, name: str, row: PretrainingRow, settings: Pretraining, encoder_digest: str
) -> None:
    """Writes a checkpoint of the released code into `folder`, as a pre-trained item encoder.

    Every tensor of the file is used but two. Single items stand at their position 0, so this row alone is kept. Their
    prompt token is in no input.

    Args:
        file: the checkpoint, a file of torch; nothing but tensors is read from it.
        folder: output folder.
        name: key of the row in `pretrainings`.
        row: the row, which names the corpus and the frozen encoder.
        settings: settings of the pre-training; they must be those of the released code.
        encoder_digest: identity of the frozen encoder that makes the features (`encoders.pairs_digest`).

    Raises:
        ArtifactError: the file is missing.
        CheckpointError: the file is damaged, or holds anything but tensors. Or a tensor is unknown, missing, not finite
            or of another shape. Or the settings are not those of the released item encoder.
    """
    _check_settings(name, settings)
    theirs = read_checkpoint(file)
    widths = {modality: _width(file, theirs, f"input.{modality}_transform.weight") for modality in MODALITIES}
    config = PretrainedConfig(
        name=name,
        corpus=row.corpus,
        encoder=row.encoder,
        seed=row.seed,
        settings=settings,
        widths=widths,
        encoder_digest=encoder_digest,
        pairs=None,
        corpus_digest=None,
        processes=None,
        imported=sha256(file),
    )
    shapes = {key: tensor.shape for key, tensor in untrained_encoder(config).state_dict().items()}
    weights = converted(file, theirs, shapes, settings.layers)
    write_table(folder / "history.parquet", SCHEMAS["pretrain_history"].empty_table(), SCHEMAS["pretrain_history"])
    write_json(folder / NAME, config.model_dump())
    write_weights(folder, weights)


def read_checkpoint(file: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by DICTIONARY.NAME; errors as in `import_authors`."""
    try:
        state = read_torch_file(file)
    except FileNotFoundError as error:
        raise ArtifactError("The released code's checkpoint is missing.", where=file, fix=FIX) from error
    except NotReadable as error:
        raise _error("cannot be read", file, "a file of torch with tensors alone", error) from error
    if not isinstance(state, dict) or set(state) != set(PARTS):
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise _error("does not fit", file, f"the dictionaries {', '.join(PARTS)}", found)
    tensors = {f"{part}.{key}": value for part in PARTS for key, value in _entries(file, part, state[part])}
    for key, value in tensors.items():
        if not _is_numbers(value):
            raise _error("does not fit", f"{file}: {key}", "a dense tensor of finite numbers", type(value).__name__)
    return tensors


def _is_numbers(value: object) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and value.is_floating_point() and bool(value.isfinite().all())


def _entries(file: Path, part: str, state: object) -> list[tuple[str, object]]:
    if not isinstance(state, dict):
        raise _error("does not fit", f"{file}: {part}", "a dictionary of tensors", type(state).__name__)
    return list(state.items())


def _sources(layers: int) -> dict[str, str]:
    """The tensor of theirs that each tensor of ours equals."""
    sources = {"embedding.mask.weight": MASK}
    for theirs, ours in MODULES.items():
        for modality in MODALITIES if "{m}" in theirs else ("",):
            for kind in ("weight", "bias"):
                sources[f"{ours}.{kind}".format(m=modality)] = f"{theirs}.{kind}".format(m=modality)
    for layer in range(layers):
        theirs_block, ours_block = f"blocks.transform.layers.{layer}", f"transformer.blocks.{layer}"
        for kind in ("weight", "bias"):
            sources[f"{ours_block}.attention.inputs.{kind}"] = f"{theirs_block}.self_attn.in_proj_{kind}"
            for theirs, ours in BLOCK_MODULES.items():
                sources[f"{ours_block}.{ours}.{kind}"] = f"{theirs_block}.{theirs}.{kind}"
    return sources


def converted(
    file: Path, theirs: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], layers: int
) -> dict[str, Tensor]:
    """Our tensors from theirs; `shapes` has the shapes of ours."""
    sources, dim = _sources(layers), shapes["embedding.norm.weight"].numel()
    expected = {source: list(shapes[ours]) for ours, source in sources.items()}
    expected |= {TYPES: [len(MODALITIES), dim], POSITIONS: ["at least 1", dim], PROMPT: ["at least 1", dim]}
    for key in sorted(expected.keys() | theirs.keys()):
        shape = list(theirs[key].shape) if key in theirs else None
        wanted = expected.get(key)
        if wanted is None or shape is None or not _fits(shape, wanted):
            raise _error("does not fit", f"{file}: {key}", _shown(wanted), _shown(shape))
    weights = {ours: theirs[source].float() for ours, source in sources.items()}
    weights |= {f"embedding.modality.{name}": theirs[TYPES][row].float() for row, name in enumerate(MODALITIES)}
    return weights | {"embedding.position.weight": theirs[POSITIONS][:1].float()}


def _fits(shape: list[int], wanted: list[int | str]) -> bool:
    if len(shape) != len(wanted):
        return False
    return all(
        found == size or (isinstance(size, str) and found >= 1) for found, size in zip(shape, wanted, strict=True)
    )


def _shown(shape: list[int | str] | None) -> str:
    return "no such tensor" if shape is None else f"shape {shape}"


def _width(file: Path, theirs: Mapping[str, Tensor], key: str) -> int:
    if key not in theirs or theirs[key].dim() != 2:
        raise _error(
            "does not fit", f"{file}: {key}", "a matrix", _shown(list(theirs[key].shape) if key in theirs else None)
        )
    return theirs[key].shape[1]


def _check_settings(name: str, settings: Pretraining) -> None:
    for key, value in RELEASED.items():
        if getattr(settings, key) != value:
            raise CheckpointError(
                "A checkpoint of the released code needs the settings of its item encoder.",
                where=f"pretrainings.{name}.settings.{key}",
                expected=value,
                found=getattr(settings, key),
                fix=f"Give the row these settings: {', '.join(f'{key}: {value}' for key, value in RELEASED.items())}.",
            )


def _error(what: str, where: object, expected: object, found: object) -> CheckpointError:
    return CheckpointError(
        f"A checkpoint of the released code {what}.", where=where, expected=expected, found=found, fix=FIX
    )
