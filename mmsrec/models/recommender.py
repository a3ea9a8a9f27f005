"""The interface of every model. It computes vectors of items and of users; their dot products are the scores.

A model may add one number to the scores of the items of a user's history.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mmsrec.errors import DataError
from mmsrec.models.attributes import Attributes
from mmsrec.models.taken import Taken, take_tensors
from mmsrec.nn.companions import Companions
from mmsrec.nn.encoded_items import EncodedItems, joined
from mmsrec.nn.objectives import Objective
from mmsrec.nn.precision import PRECISIONS
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.threads import in_threads, one_thread_each
from mmsrec.nn.transformer import device_of
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Trainer

if TYPE_CHECKING:
    from mmsrec.training.model_folder import Config

# Items that pass the item tower together. On a CPU, threads share the parts. On a GPU, a training step has one part.
ENCODED_TOGETHER = {"cpu": 1 << 11, "cuda": 1 << 15}


class Features(nn.Module):
    """One modality of every item; it follows a model to its device, and weights files leave it out.

    Args:
        vectors_IF: features [I, F]; rows of items without the modality are not read.
        present_I: which items have the modality.
    """

    def __init__(self, vectors_IF: Tensor, present_I: Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors_IF", vectors_IF, persistent=False)
        self.register_buffer("present_I", present_I, persistent=False)


class ModelInputs(NamedTuple):
    """The data that a model is built for. Every model takes (inputs, its settings, the trainer's settings).

    Attributes:
        items: number of items.
        features: features of the items, by modality; models of item ids ignore them.
        attributes: attributes of the items; None for a model that does not read them.
        known_K: the items that training knows; None for all.
    """

    items: int
    features: dict[str, Features]
    attributes: Attributes | None = None
    known_K: Tensor | None = None

    def vectors_to_fit(self, modality: str) -> Tensor:
        """The features [N, F] of the known items, for maps such as whitening that are fitted before training."""
        feature = self.features[modality]
        fitted_I = feature.present_I
        if self.known_K is not None:
            fitted_I = torch.zeros_like(fitted_I).index_fill(0, self.known_K.to(fitted_I.device), value=True) & fitted_I
        return feature.vectors_IF[fitted_I]

    def of(self, modalities: Collection[str]) -> "ModelInputs":
        """The inputs of a model that reads these modalities alone."""
        return self._replace(features={name: self.features[name] for name in modalities})

    def required_attributes(self) -> Attributes:
        """The attributes of the items.

        Raises:
            DataError: the data set was read without attributes.
        """
        if self.attributes is None:
            raise DataError(
                "A model reads attributes of items, and the data set was read without them.",
                expected="attributes.parquet of the k-core",
                fix="Set reads_attributes for this model in mmsrec/models/registry.py.",
            )
        return self.attributes


class Recommender(nn.Module, ABC):
    """A model for `items` items.

    In inputs, the index `items` is the [mask] token and the index after it is padding.

    Args:
        items: number of items.
        longest_history: largest number of latest items that can change a user's vector.

    Attributes:
        item_rows: names of the weights that have one row for each item.
    """

    item_rows: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, items: int, longest_history: int) -> None:
        super().__init__()
        self.items, self.longest_history = items, longest_history

    @property
    def repeat_score(self) -> float:
        """The number that is added to the scores of the items of a user's history; here none."""
        return 0.0

    @property
    def mask(self) -> int:
        """The index of the [mask] token."""
        return self.items

    @property
    def absent(self) -> int:
        """The index of padding."""
        return self.items + 1

    @abstractmethod
    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The tensors that depend on the items alone.

        Args:
            items_K: indices of the items; None for all.
        """

    @torch.no_grad()
    def encode_all_items(self) -> EncodedItems:
        """`encode_items()` without gradients, in parts: only the result grows with the number of items."""
        device = device_of(self)
        chosen = torch.arange(self.items, device=device).split(ENCODED_TOGETHER[device.type])
        return joined(list(in_threads(self.encode_items, chosen, device)))

    @abstractmethod
    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """Vectors [B, D] of users from their latest items, right-aligned, with `absent` as padding."""

    @torch.no_grad()
    @one_thread_each()
    def scores(self, histories_BL: Tensor) -> Tensor:
        """Scores [B, I] of all items, in one matrix; suits a few users."""
        items = self.encode_all_items()
        scores_BI = self.user_vectors(items, histories_BL) @ items.vectors_KD.T
        seen_BJ = scores_BI.new_zeros(len(histories_BL), self.absent + 1).scatter(1, histories_BL, 1)
        return scores_BI + self.repeat_score * seen_BJ[:, : self.items]


class CountedRecommender(Recommender):
    """A model that is fitted by counting."""

    @abstractmethod
    def fit(self, sequences: Sequences, ends_U: Tensor) -> None:
        """Counts every action before the ends of the users' training sequences."""


class TrainedRecommender(Recommender):
    """A model that is trained by gradient descent. N - 1 items of a history precede the predicted item.

    Args:
        items: number of items.
        trainer: the length N of sequences, and the precision of matrix products.

    Attributes:
        items_in_parts: on a CPU a step encodes its items in parts, which threads share. It pays where the vectors of
            items are computed, and not looked up.
        whole_step: the loss compares all sequences of a step, so that they form one group and one process trains.
        validated: whether validation stops training and chooses the weights; otherwise training runs to its last
            epoch. `Model.validated` in the registry is the same.
        read_by: settings that change how a model reads its weights, but not their shapes. A start has the same.
    """

    items_in_parts: ClassVar[bool] = False
    whole_step: ClassVar[bool] = False
    validated: ClassVar[bool] = True
    read_by: ClassVar[tuple[str, ...]] = ("heads", "positions")

    def __init__(self, items: int, trainer: Trainer) -> None:
        super().__init__(items, trainer.max_length - 1)
        self.precision = PRECISIONS[trainer.precision]

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """The inputs and the targets of training."""

    @property
    def companions(self) -> Companions | None:
        """Draws further inputs for each training sequence; None for a model that needs none."""
        return None

    def take(self, weights: Mapping[str, Tensor], config: "Config") -> Taken:
        """Loads the weights of the training that this one starts from: here every tensor, by its own name.

        A model that names other tensors overrides this. It is called once, before the first step and before a
        checkpoint is read, so it may also freeze weights.

        Args:
            weights: tensors of the start, by name.
            config: config.json of the start.

        Raises:
            CheckpointError: a tensor is absent, is not named, or has another shape.
        """
        return take_tensors(self, weights)

    @abstractmethod
    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """The sum of the loss over the predictions of a group of sequences, a scalar."""
