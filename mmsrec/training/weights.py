"""The weights of a trained model as a safetensors file."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.files import atomic_path

NAME = "weights.safetensors"
LAST = "last.safetensors"  # weights of the last epoch; NAME has those of the best epoch
# The types of a model's tensors. Another one would be cast without a word, such as a complex to its real part.
TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def write_weights(folder: Path, weights: Mapping[str, Tensor], name: str = NAME) -> None:
    """Writes weights into a folder, atomically."""
    with atomic_path(folder / name) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder's weights.safetensors.

    Raises:
        ArtifactError: the file is missing.
        CheckpointError: it is damaged, a tensor has another type than `TYPES`, or a number is not finite.
    """
    path = folder / NAME
    if not path.exists():
        raise ArtifactError("A model's weights are missing.", where=path, fix="Train the model.")
    try:
        weights = load_file(path)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(
            "A model's weights cannot be read.", where=path, found=error, fix="Train the model again."
        ) from error
    for name, tensor in weights.items():
        if tensor.dtype not in TYPES:
            raise CheckpointError(
                "A model's weights have a type that no model stores.",
                where=f"{path}: {name}",
                expected=f"one of {', '.join(str(dtype).removeprefix('torch.') for dtype in TYPES)}",
                found=str(tensor.dtype).removeprefix("torch."),
                fix="Train the model again.",
            )
        if not tensor.isfinite().all():
            count = int((~tensor.isfinite()).sum())
            raise CheckpointError(
                "A model's weights are not finite.",
                where=f"{path}: {name}",
                expected="finite numbers",
                found=f"{count:,} of {tensor.numel():,} numbers are NaN or infinite",
                fix="Train the model again, with a smaller learning rate if its loss grew.",
            )
    return weights


def load_weights(model: nn.Module, folder: Path) -> None:
    """Loads a folder's weights into a model.

    Raises:
        ArtifactError: the file is missing.
        CheckpointError: it is damaged, or its tensors do not have the names and shapes of the model's.
    """
    set_weights(model, read_weights(folder), folder)


def set_weights(model: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Loads weights that come from a folder into a model.

    Raises:
        CheckpointError: the tensors do not have the names and shapes of the model's.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            "A model's weights do not fit it.", where=folder / NAME, found=error, fix="Train the model again."
        ) from error
