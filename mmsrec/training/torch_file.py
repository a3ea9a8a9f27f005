"""Reads torch's files that hold tensors and plain values alone, so that nothing in them can run code."""

from pathlib import Path
from typing import BinaryIO

import torch


class NotReadable(Exception):
    """A file is damaged, no file of torch, or holds other objects than tensors and plain values."""


def read_torch_file(file: Path | BinaryIO) -> object:
    """Reads the value that torch.save wrote, with its tensors on the CPU.

    Raises:
        FileNotFoundError: the file is missing.
        NotReadable: the file cannot be read; the text is the first line of the reason.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    # torch checks neither the instructions of a damaged file nor their arguments, so any error may come out.
    except Exception as error:
        raise NotReadable(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
