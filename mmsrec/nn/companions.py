"""Further inputs of a training step: rules that draw tensors for each of its sequences."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mmsrec.nn.training_sequences import Examples
from mmsrec.nn.user_sequences import Sequences


class Companions(ABC):
    """A rule that draws tensors for each sequence of a step. A model reads them in `Predictions.companions`."""

    def prepare(self, sequences: Sequences, chosen: Examples) -> None:  # noqa: B027 most rules need no preparation
        """Reads the data of the training, once before the first step.

        Args:
            sequences: all users' items.
            chosen: the training sequences; under `augment: random`, all of which an epoch draws some.
        """

    @abstractmethod
    def draw(self, batch_B: Tensor, windows_BL: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Tensors [B, ...] by name. A group of the step gets the rows of its sequences, with all columns.

        Args:
            batch_B: indices of the step's sequences among the training sequences.
            windows_BL: their items, right-aligned, targets included.
            generator: a generator on the CPU, so that every device gets the same draws.
        """


class SameTarget(Companions):
    """Draws for each sequence another training sequence with the same last item, uniformly (Qiu et al., 2022).

    A sequence whose last item ends no other sequence is its own partner. `draw` returns `same_target_BL`: the items of
    the partners before their last, right-aligned.

    Args:
        absent: index of padding.
    """

    def __init__(self, absent: int) -> None:
        self._absent = absent

    def prepare(self, sequences: Sequences, chosen: Examples) -> None:
        """Sorts the training sequences by their last items: the sequences with one last item are a run."""
        self._sequences, self._chosen = sequences, chosen
        targets_E = sequences.items_A[chosen.ends_E - 1]
        targets_S, self._order_S = torch.sort(targets_E, stable=True)
        self._place_E = torch.empty_like(self._order_S)
        self._place_E[self._order_S] = torch.arange(len(targets_E), device=targets_E.device)
        self._start_E = torch.searchsorted(targets_S, targets_E)
        self._count_E = torch.searchsorted(targets_S, targets_E, right=True) - self._start_E

    def draw(self, batch_B: Tensor, windows_BL: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        partners_B = self.partners(batch_B, generator)
        users_B, ends_B = self._chosen.users_E[partners_B], self._chosen.ends_E[partners_B] - 1
        longest = int((ends_B - self._sequences.offsets_U1[users_B]).max())
        width = min(longest, windows_BL.shape[1] - 1)
        return {"same_target_BL": self._sequences.windows(users_B, ends_B, width, self._absent)}

    def partners(self, batch_B: Tensor, generator: torch.Generator) -> Tensor:
        """The index of the partner of each sequence [B]; arguments as in `draw`."""
        others_B = self._count_E[batch_B] - 1
        uniform_B = torch.rand(len(batch_B), dtype=torch.float64, generator=generator).to(batch_B.device)
        within_B = (uniform_B * others_B).long()
        # The sequence's own place is skipped, so that each of the others has one number.
        own_B = self._place_E[batch_B] - self._start_E[batch_B]
        within_B += (within_B >= own_B) & (others_B > 0)
        return self._order_S[self._start_E[batch_B] + within_B]


class ItemDrop(Companions):
    """Draws a second view of each sequence, from which items are dropped (Hou et al., 2022).

    The first item in the window is always kept. `draw` returns `item_drop_BL`: the other items of the inputs that are
    kept, closed up and right-aligned. The last item of a window is the target, so it is not part of the view.

    Args:
        items: number of items.
        absent: index of padding.
        probability: probability that an item is dropped.
    """

    def __init__(self, items: int, absent: int, probability: float = 0.2) -> None:
        self._items, self._absent, self._probability = items, absent, probability

    def draw(self, batch_B: Tensor, windows_BL: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        inputs_BL = windows_BL[:, :-1]
        exists_BL = inputs_BL < self._items
        first_BL = exists_BL & (exists_BL.cumsum(1) == 1)
        drawn_BL = torch.rand(inputs_BL.shape, generator=generator).to(inputs_BL.device)
        kept_BL = exists_BL & (first_BL | (drawn_BL >= self._probability))
        width = int(kept_BL.sum(1).max())
        # Stable: the kept items keep their order, behind all other places.
        order_BL = torch.argsort(kept_BL.long(), dim=1, stable=True)
        return {"item_drop_BL": inputs_BL.where(kept_BL, self._absent).gather(1, order_BL)[:, -width:]}
