"""The account of a training that starts from the weights of another: no tensor of either is left out silently."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from mmsrec.errors import CheckpointError
from mmsrec.settings.row import Frozen


class Taken(Frozen):
    """The tensors that a model took from the weights of its start, and those that it did not, by name.

    Attributes:
        loaded: tensors of the model that came from the start.
        new: tensors of the model that keep their random values.
        unused: tensors of the start that the model does not have.
    """

    loaded: list[str]
    new: list[str]
    unused: list[str]


def take_tensors(
    model: nn.Module, weights: Mapping[str, Tensor], *, new: Collection[str] = (), unused: Collection[str] = ()
) -> Taken:
    """Loads all tensors of `weights` but `unused` into all tensors of the model but `new`; an error changes nothing.

    Args:
        model: receives the weights.
        weights: tensors of the start, by name.
        new: names of the model's tensors that keep their values.
        unused: names of tensors of the start that the model does not read.

    Raises:
        CheckpointError: a tensor of either side is neither loaded nor named, or has another shape.
    """
    own = model.state_dict()
    loaded, found = own.keys() - set(new), weights.keys() - set(unused)
    for name in sorted(loaded | found):
        expected = _shape(own[name]) if name in loaded else "no such tensor"
        given = _shape(weights[name]) if name in found else "no such tensor"
        if expected != given:
            raise CheckpointError(
                "The weights of the start do not fit the model.",
                where=name,
                expected=expected,
                found=given,
                fix="Give both variants the same sizes of the model, the same max_length, and features of one width.",
            )
    with torch.no_grad():
        for name in loaded:
            own[name].copy_(weights[name])
    kept, left = own.keys() - loaded, weights.keys() - found
    return Taken(loaded=sorted(loaded), new=sorted(kept), unused=sorted(left))


def _shape(tensor: Tensor) -> str:
    return f"shape {list(tensor.shape)}"
