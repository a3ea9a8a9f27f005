"""Functions for all encoders with weights: device, precision, seeding and the digest of the weights."""

import hashlib
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from mmsrec.errors import FeatureError
from mmsrec.settings.encoding import OpenClipEncoder, TransformersEncoder

# On a CPU, the allocator returns blocks above 32 MB at once, so larger batches spend their time in page faults.
BATCH_SIZES = {"cpu": {"vision": 16, "text": 64}, "cuda": {"vision": 256, "text": 512}}
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batch_size(where: torch.device, modality: str) -> int:
    """The number of inputs in a batch on a device."""
    return BATCH_SIZES[where.type][modality]


def on_host(where: torch.device) -> bool:
    """Whether a device is the CPU."""
    return where.type == "cpu"


def precision(where: torch.device) -> torch.dtype:
    """bfloat16 if the device has matrix products in bfloat16, else float32."""
    if where.type == "cuda":
        known = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        known = any(torch.cpu.get_capabilities().get(name, False) for name in CPU_BFLOAT16)
    return torch.bfloat16 if known else torch.float32


def frozen(model: nn.Module, where: torch.device) -> nn.Module:
    """Moves a model to its device, without dropout and gradients.

    The weights are converted once to the device's precision; autocast would convert them for every batch.
    """
    return model.to(where, precision(where)).eval().requires_grad_(False)


def encoding(
    encode: Callable[..., torch.Tensor], where: torch.device
) -> Callable[[Mapping[str, torch.Tensor]], np.ndarray]:
    """Wraps `encode`: the result takes CPU tensors by name and returns a float32 array.

    On a CPU it computes with one thread, because the last bits of a sum depend on the number of threads.
    """

    def run(inputs: Mapping[str, torch.Tensor]) -> np.ndarray:
        moved = {name: tensor.to(where, non_blocking=True) for name, tensor in inputs.items()}
        with torch.inference_mode():
            return encode(**moved).float().cpu().numpy()

    def run_in_one_thread(inputs: Mapping[str, torch.Tensor]) -> np.ndarray:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return run(inputs)
        finally:
            torch.set_num_threads(before)

    return run_in_one_thread if on_host(where) else run


def staged(tensor: torch.Tensor, where: torch.device) -> torch.Tensor:
    """The tensor in pinned memory, if the device is a GPU: such copies run beside computation."""
    return tensor.pin_memory() if where.type == "cuda" else tensor


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A model with random weights from a seed; the global random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over the name, type and value of each weight, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def missing_weights(
    name: str, row: OpenClipEncoder | TransformersEncoder, tried: str, error: Exception
) -> FeatureError:
    """The error for a model that is not available, with the ways to provide it."""
    return FeatureError(
        f"The weights of the encoder {name} are not available.",
        where=f"encoders.{name}: model {row.model}, weights {row.weights}",
        expected="a model that can be loaded",
        found=f"{tried} failed: {str(error).strip()}",
        fix=PROVIDE[row.kind],
    )


PROVIDE = {
    "open_clip": (
        "Run once on a machine that reaches the hub, which caches the weights. Or fetch the file elsewhere, and set"
        " `weights` to its path. Or, for a trial without trained weights, set `weights: seeded` and a `seed`, and"
        " `model` to a name that open_clip knows or a JSON file."
    ),
    "transformers": (
        "Run once on a machine that reaches the hub, which caches the model. Or fetch its folder elsewhere, and set"
        " `model` to its path. Or, for a trial without trained weights, set `weights: seeded` and a `seed`, and"
        " `model` to a folder with config and tokenizer."
    ),
}
