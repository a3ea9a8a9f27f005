"""What the trainer, the evaluation and the recommendations ask of every model: vectors whose dot product is a score."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from mmsrec.nn.predictions import Predictions
from mmsrec.nn.transformer import device_of
from mmsrec.nn.user_sequences import Sequences


class Features(nn.Module):
    """One modality of every item; it follows a model to its device and stays outside the weights.

    Args:
        vectors_IF: features; rows of absent items are not read.
        present_I: which items have this modality.
    """

    def __init__(self, vectors_IF: Tensor, present_I: Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors_IF", vectors_IF, persistent=False)
        self.register_buffer("present_I", present_I, persistent=False)


CATALOGUE_PART = 1 << 15  # items whose tokens pass the item tower together when nothing is trained

Objective = Literal["masked", "causal"]


class Recommender(nn.Module, ABC):
    """A model for a catalogue of `items` items.

    In inputs, the index after that of the catalogue's last item is the [mask] token, and the next one no item.
    """

    def __init__(self, items: int) -> None:
        super().__init__()
        self.items = items

    @property
    @abstractmethod
    def longest_history(self) -> int:
        """How many of a user's latest items can change its vector."""

    @property
    def mask(self) -> int:
        return self.items

    @property
    def absent(self) -> int:
        return self.items + 1

    @abstractmethod
    def catalogue(self, items_K: Tensor | None = None) -> tuple[Tensor, ...]:
        """What depends on the items alone, made once a step; the last tensor is the item vectors [K, D].

        Args:
            items_K: which items; None for all.
        """

    @torch.no_grad()
    def whole_catalogue(self) -> tuple[Tensor, ...]:
        """`catalogue()` without gradients, some items at a time: beside it, memory does not grow with their number."""
        chosen = torch.arange(self.items, device=device_of(self)).split(CATALOGUE_PART)
        *tables, vectors = zip(*(self.catalogue(items_K) for items_K in chosen), strict=True)
        # A part of a table may end with a row that is no item; that of the last part ends the whole.
        joined = [torch.cat([*(part[:CATALOGUE_PART] for part in table[:-1]), table[-1]]) for table in tables]
        return *joined, torch.cat(vectors)

    @abstractmethod
    def user_vectors(self, catalogue: tuple[Tensor, ...], histories_BL: Tensor) -> Tensor:
        """Vectors [B, D] of the users whose latest items are given, right-aligned, `absent` before the first."""

    @torch.no_grad()
    def scores(self, histories_BL: Tensor) -> Tensor:
        """Scores [B, I] of all items: the plain way, for few users."""
        catalogue = self.whole_catalogue()
        return self.user_vectors(catalogue, histories_BL) @ catalogue[-1].T


class CountedRecommender(Recommender):
    """A model that is fitted by counting."""

    @abstractmethod
    def fit(self, sequences: Sequences, ends_U: Tensor) -> None:
        """Learns from every action before the ends of the users' training sequences."""


class TrainedRecommender(Recommender):
    """A model that is trained by steps of gradient descent."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """Which places of a sequence predict which items."""

    @abstractmethod
    def loss(self, catalogue: tuple[Tensor, ...], predictions: Predictions) -> Tensor:
        """The sum of the loss over the predictions of a group of sequences."""
