"""The memory that an operation requests, measured by the tensors that its operators make."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Made(TorchDispatchMode):
    """Within this context, collects the bytes of every tensor that an operator makes and is not given."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        result = function(*arguments, **options)
        given = {_place(part) for part in (*arguments, *options.values()) if isinstance(part, torch.Tensor)}
        parts = result if isinstance(result, tuple | list) else [result]
        made = [part for part in parts if isinstance(part, torch.Tensor) and _place(part) not in given]
        self.sizes += [part.untyped_storage().nbytes() for part in made]
        return result


def _place(tensor):
    return tensor.untyped_storage().data_ptr()
