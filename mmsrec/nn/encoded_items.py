"""The tensors that a model computes from its items alone, once a step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class EncodedItems:
    """K items as vectors to be scored and as inputs of sequences.

    Attributes:
        vectors_KD: a score is the dot product of a user's vector with one of these.
        inputs: the table in which sequences look up their items: [K, D], or [K, M, D] for M tokens per item. A model
            with a [mask] adds it as the last row. None where sequences look up `vectors_KD` themselves.
        read: which tokens of `inputs` attention and pooling read [K, M]; None for all.
    """

    vectors_KD: Tensor
    inputs: Tensor | None = None
    read: Tensor | None = None

    @property
    def table(self) -> Tensor:
        """The rows that sequences look up."""
        return self.vectors_KD if self.inputs is None else self.inputs

    def tensors(self) -> list[Tensor]:
        """The tensors that exist, in a fixed order."""
        return [tensor for tensor in (self.inputs, self.read, self.vectors_KD) if tensor is not None]

    def map(self, function: Callable[[Tensor], Tensor]) -> "EncodedItems":
        """The results of a function of one tensor, in the same places."""
        parts = (self.vectors_KD, self.inputs, self.read)
        return EncodedItems(*(None if tensor is None else function(tensor) for tensor in parts))


def joined(parts: Sequence[EncodedItems]) -> EncodedItems:
    """The items of all parts. Each part may have a [mask], and the last one is kept."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part.vectors_KD) for part in parts]
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(EncodedItems)}
    return EncodedItems(**{name: _joined(tables, sizes) for name, tables in columns.items()})


def _joined(tables: Sequence[Tensor | None], sizes: Sequence[int]) -> Tensor | None:
    *earlier, last = tables
    if last is None:
        return None
    return torch.cat([*(table[:size] for table, size in zip(earlier, sizes[:-1], strict=True)), last])
