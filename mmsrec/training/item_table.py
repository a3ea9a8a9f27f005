"""The encoded items of one step of training, in parts that threads compute."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from mmsrec.models.recommender import ENCODED_TOGETHER, TrainedRecommender
from mmsrec.nn.encoded_items import EncodedItems, joined
from mmsrec.nn.threads import in_threads
from mmsrec.training.gradients import add_gradients
from mmsrec.training.runtime import seeded_dropout


class ItemTable:
    """The encoded items of a step. The loss reads `leaves`, whose gradients `propagate` brings to the weights.

    On a CPU, the items of a model may be cut into parts of a fixed size (`items_in_parts`). Each part draws its own
    dropout. So the number of threads changes no byte.

    Args:
        model: encodes the items.
        items_K: indices of the items; None for all.
        key: seeds dropout, together with the number of a part.
        device: device of the model.

    Attributes:
        leaves: the encoded items without their history. They end the backward pass of a group, and collect its
            gradients.
    """

    def __init__(
        self, model: TrainedRecommender, items_K: Tensor | None, key: tuple[int, ...], device: torch.device
    ) -> None:
        self._weights, self._device = [weight for weight in model.parameters() if weight.requires_grad], device
        chosen = _parts(model, items_K, device)
        last = len(chosen) - 1

        def encoded(place: int) -> EncodedItems:
            # The first part draws as a whole table does, so a table of one part has the same bytes.
            with seeded_dropout(device, *key, *[place] * (place > 0)):
                part = model.encode_items(chosen[place])
            # Cut here, because autograd adds gradients in an order that depends on the thread that made a tensor.
            return part if place == last else part.map(lambda table: table[: len(part.vectors_KD)])

        self._parts = list(in_threads(encoded, range(len(chosen)), device))
        self.leaves = joined(self._parts).map(lambda tensor: tensor.detach().requires_grad_(tensor.requires_grad))

    def propagate(self) -> None:
        """Adds the gradients of the weights that the gradients of the leaves lead to."""
        ends = list(accumulate(len(part.vectors_KD) for part in self._parts))
        starts, last = [0, *ends[:-1]], len(self._parts) - 1

        def gradients(place: int) -> Sequence[Tensor | None]:
            # The rows of a [mask] follow the items of the last part.
            rows = slice(starts[place], None if place == last else ends[place])
            pairs = zip(self._parts[place].tensors(), self.leaves.tensors(), strict=True)
            reached = [(tensor, leaf.grad[rows]) for tensor, leaf in pairs if leaf.grad is not None]
            if not reached:
                return [None] * len(self._weights)
            outputs, given = zip(*reached, strict=True)
            return torch.autograd.grad(outputs, self._weights, given, allow_unused=True)

        for part in in_threads(gradients, range(len(self._parts)), self._device):
            add_gradients(self._weights, part)


def _parts(model: TrainedRecommender, items_K: Tensor | None, device: torch.device) -> Sequence[Tensor | None]:
    """The indices of the items of each part; a single part may be None, which stands for all items."""
    count = model.items if items_K is None else len(items_K)
    if device.type != "cpu" or not model.items_in_parts or count <= ENCODED_TOGETHER["cpu"]:
        return [items_K]
    indices_K = torch.arange(count) if items_K is None else items_K
    # Parts of equal size: a short last part would have another precision (`reduced_precision`).
    return indices_K.tensor_split(-(-count // ENCODED_TOGETHER["cpu"]))
