"""The precision of matrix products."""

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# On a CPU, products of fewer rows gain nothing from bfloat16: oneDNN compiles code for each new shape.
REDUCED_ROWS = 1024


def reduced_precision(precision: torch.dtype, device: torch.device, rows: int) -> torch.autocast:
    """A context whose matrix products of `rows` rows run in `precision`, where that is faster; the rest is float32."""
    enabled = precision != torch.float32 and (device.type != "cpu" or rows >= REDUCED_ROWS)
    return torch.autocast(device.type, precision, enabled=enabled)
