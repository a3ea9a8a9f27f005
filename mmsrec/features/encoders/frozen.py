"""What the encoders with weights share: where they run, in which precision, and the digest of their weights."""

import hashlib
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from mmsrec.errors import FeatureError
from mmsrec.settings.encoding import OpenClipEncoder, TransformersEncoder

# On a CPU, the allocator gives blocks of more than 32 MB back at once: larger batches spend their time in page faults.
BATCH_SIZES = {"cpu": {"vision": 16, "text": 64}, "cuda": {"vision": 256, "text": 512}}
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def device() -> torch.device:
    """The GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batch_size(where: torch.device, modality: str) -> int:
    """Inputs that are encoded at once on a device."""
    return BATCH_SIZES[where.type][modality]


def on_host(where: torch.device) -> bool:
    """Whether a device is the host's own processors."""
    return where.type == "cpu"


def precision(where: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies matrices of it, else float32."""
    if where.type == "cuda":
        known = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        known = any(torch.cpu.get_capabilities().get(name, False) for name in CPU_BFLOAT16)
    return torch.bfloat16 if known else torch.float32


def frozen(model: nn.Module, where: torch.device) -> nn.Module:
    """The model on its device, without dropout and gradients.

    The weights themselves take the device's precision: autocast would convert all of them anew for every batch.
    """
    return model.to(where, precision(where)).eval().requires_grad_(False)


def encoding(
    encode: Callable[..., torch.Tensor], where: torch.device
) -> Callable[[Mapping[str, torch.Tensor]], np.ndarray]:
    """`encode` on a device; takes tensors on the host by name, gives float32 there."""

    def run(inputs: Mapping[str, torch.Tensor]) -> np.ndarray:
        moved = {name: tensor.to(where, non_blocking=True) for name, tensor in inputs.items()}
        with torch.inference_mode():
            return encode(**moved).float().cpu().numpy()

    return run


def staged(tensor: torch.Tensor, where: torch.device) -> torch.Tensor:
    """The tensor in memory that a GPU can copy from while it works."""
    return tensor.pin_memory() if where.type == "cuda" else tensor


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A model with weights drawn from a seed; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of the weights' names, types and values, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def missing_weights(
    name: str, row: OpenClipEncoder | TransformersEncoder, tried: str, error: Exception
) -> FeatureError:
    """The error for a model that cannot be had, with the ways to provide it."""
    return FeatureError(
        f"The weights of the encoder {name} cannot be had.",
        where=f"encoders.{name}: model {row.model}, weights {row.weights}",
        expected="a model that can be loaded",
        found=f"{tried} failed: {str(error).strip()}",
        fix=PROVIDE[row.kind],
    )


PROVIDE = {
    "open_clip": (
        "Either run where the hub can be reached (the weights are kept in its cache); or fetch the file elsewhere and"
        " give its path as `weights`; or, for a trial without trained weights, `weights: seeded` with a `seed`, and as"
        " `model` a name of open_clip or a JSON file."
    ),
    "transformers": (
        "Either run where the hub can be reached (the model is kept in its cache); or fetch its folder elsewhere and"
        " give its path as `model`; or, for a trial without trained weights, `weights: seeded` with a `seed`, and as"
        " `model` a folder with config and tokenizer."
    ),
}
