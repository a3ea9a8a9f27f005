"""The training objectives, which decide inputs, predicted places and targets."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# Shares of the hidden places, except the last place; the rest keep their item.
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1


class Task(NamedTuple):
    """The task of a batch of sequences.

    Attributes:
        inputs_BL: item indices that the model sees, right-aligned.
        predicted_BL: the places where the model predicts.
        targets_BL: the items to predict there.
    """

    inputs_BL: Tensor
    predicted_BL: Tensor
    targets_BL: Tensor


class Objective(ABC):
    """An objective of training on sequences.

    Attributes:
        causal: a place may depend on its own item and earlier items alone.
    """

    causal: ClassVar[bool]

    @abstractmethod
    def __call__(self, windows_BL: Tensor, items: int, generator: torch.Generator) -> Task:
        """The task of some windows.

        Args:
            windows_BL: item indices, right-aligned; values of `items` and above are no items.
            items: number of items; [mask] is the index `items`.
            generator: a generator on the CPU, so that every device gets the same draws.
        """

    @abstractmethod
    def next_item_inputs(self, histories_BL: Tensor, items: int) -> Tensor:
        """Inputs whose last place predicts the next item of each history."""


@dataclass(frozen=True)
class Masked(Objective):
    """Hidden items are predicted at their own places (Section 3.3.3 of the paper).

    The last item is always hidden behind [mask]. Each other item is hidden with a probability. A share of 80 % of them
    become [mask], 10 % become an item drawn uniformly from all items, and 10 % keep their item.

    Attributes:
        mask_probability: probability that an item before the last is hidden.
    """

    mask_probability: float
    causal: ClassVar[bool] = False

    def __call__(self, windows_BL: Tensor, items: int, generator: torch.Generator) -> Task:
        device = windows_BL.device
        draws_BL = torch.rand(windows_BL.shape, generator=generator).to(device)
        random_BL = torch.randint(items, windows_BL.shape, generator=generator).to(device)
        predicted_BL = (draws_BL < self.mask_probability) & (windows_BL < items)
        # Among the draws below the probability, the draw itself is uniform. It decides what replaces the item.
        share_BL = draws_BL / self.mask_probability if self.mask_probability else draws_BL
        masked_BL = predicted_BL & (share_BL < MASK_SHARE)
        replaced_BL = predicted_BL & (share_BL >= MASK_SHARE) & (share_BL < MASK_SHARE + RANDOM_SHARE)
        inputs_BL = torch.where(replaced_BL, random_BL, torch.where(masked_BL, items, windows_BL))
        predicted_BL[:, -1] = True
        inputs_BL[:, -1] = items
        return Task(inputs_BL, predicted_BL, windows_BL)

    def next_item_inputs(self, histories_BL: Tensor, items: int) -> Tensor:
        """The histories, each followed by a [mask]."""
        return F.pad(histories_BL, (0, 1), value=items)


@dataclass(frozen=True)
class Causal(Objective):
    """Every item but the last predicts the item after it."""

    causal: ClassVar[bool] = True

    def __call__(self, windows_BL: Tensor, items: int, generator: torch.Generator) -> Task:
        inputs_BL = windows_BL[:, :-1]
        return Task(inputs_BL, inputs_BL < items, windows_BL[:, 1:])

    def next_item_inputs(self, histories_BL: Tensor, items: int) -> Tensor:
        """The histories themselves."""
        return histories_BL


@dataclass(frozen=True)
class Next(Causal):
    """The last item but one predicts the last item. Every prefix of a sequence is then a training sequence."""

    def __call__(self, windows_BL: Tensor, items: int, generator: torch.Generator) -> Task:
        task = super().__call__(windows_BL, items, generator)
        last_L = torch.arange(task.inputs_BL.shape[1], device=windows_BL.device) == task.inputs_BL.shape[1] - 1
        return task._replace(predicted_BL=task.predicted_BL & last_L)


CAUSAL_OBJECTIVES = {"causal": Causal(), "next": Next()}
