"""The base of models that know an item by its id: sequences look up trained item vectors, and scores use them too."""

from typing import Literal, Protocol

from torch import Tensor, nn

from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.objectives import CAUSAL_OBJECTIVES, Causal
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.retrieval_loss import retrieval_loss
from mmsrec.settings.trainer import Trainer

EPS = 1e-12  # of LayerNorm, as in RecBole's models


class PlaceEncoder(Protocol):
    """Computes vectors of places in sequences; `SequenceEncoder` describes the arguments."""

    def at_places(self, items: EncodedItems, inputs_BL: Tensor, rows_P: Tensor, columns_P: Tensor) -> Tensor: ...

    def at_last_place(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor: ...


class IdRecommender(TrainedRecommender):
    """A causal model of item ids. A score is the dot product of a place's vector with an item's vector.

    Args:
        items: number of items.
        dim: width D of the item vectors.
        objective: `causal`: each place predicts the next item; `next`: the last place alone predicts.
        trainer: as in `TrainedRecommender`.

    Attributes:
        item: the item vectors; a subclass draws their first values.
        sequences: a subclass sets it.
    """

    item_rows = frozenset({"item.weight"})
    sequences: PlaceEncoder

    def __init__(self, items: int, dim: int, objective: Literal["causal", "next"], trainer: Trainer) -> None:
        super().__init__(items, trainer)
        self.item = nn.Embedding(items, dim)
        self._objective = CAUSAL_OBJECTIVES[objective]

    @property
    def objective(self) -> Causal:
        return self._objective

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The item vectors [K, D]; sequences look up the same vectors."""
        return EncodedItems(self.item.weight if items_K is None else self.item(items_K))

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """Softmax cross-entropy over the items, summed over the predictions."""
        queries_PD = self.sequences.at_places(items, predictions.inputs_BL, predictions.rows_P, predictions.columns_P)
        return retrieval_loss(queries_PD, items.vectors_KD, predictions, self.precision)

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The vectors [B, D] of the last place of the latest N - 1 items."""
        return self.sequences.at_last_place(items, histories_BL[:, -self.longest_history :])
