"""The pre-training of S3-Rec (Zhou et al., 2020): items, attributes and segments are told apart in sequences."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.errors import DataError
from mmsrec.models.id_recommender import EPS
from mmsrec.models.recommender import ModelInputs, TrainedRecommender
from mmsrec.models.s3rec_pretraining_settings import S3RecPretrainingSettings
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.multi_label_loss import multi_label_loss
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.segments import Cloze, Segments
from mmsrec.nn.sequence_encoder import PositionedInput, SequenceEncoder
from mmsrec.nn.transformer import Transformer, initialise
from mmsrec.settings.trainer import Trainer

TASKS = ("aap", "map", "mip", "sp")


class S3RecPretraining(TrainedRecommender):
    """Trains the weights of SASRec's modules, under the same names, with a [mask] vector and vectors of attributes.

    Raises:
        DataError: the items have no attributes, or one sequence can hold every item.
    """

    validated: ClassVar[bool] = False

    def __init__(self, inputs: ModelInputs, settings: S3RecPretrainingSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, trainer)
        if inputs.items <= self.longest_history:
            raise DataError(
                "A sequence can hold every item, so that no other item can be drawn.",
                expected=f"more than {self.longest_history} items",
                found=inputs.items,
                fix="Choose a smaller max_length for this domain.",
            )
        self.weights, self._mask_probability = settings.weights, settings.mask_probability
        self.attributes = inputs.required_attributes()
        self.item, self.mask_vector = nn.Embedding(inputs.items, settings.dim), nn.Embedding(1, settings.dim)
        self.attribute = nn.Embedding(len(self.attributes.names), settings.dim)
        self.tasks = nn.ModuleDict({task: nn.Linear(settings.dim, settings.dim) for task in TASKS})
        self.input = PositionedInput(settings.dim, self.longest_history, settings.embedding_dropout, eps=EPS)
        self.transformer = Transformer.of(settings, eps=EPS)
        self.sequences = SequenceEncoder(
            self.input, self.transformer, self.objective.causal, self.precision, positions=settings.positions
        )
        initialise(self)

    @property
    def objective(self) -> Cloze:
        return Cloze(self._mask_probability)

    @property
    def companions(self) -> Segments:
        return Segments(self.items)

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The item vectors [K, D], and as inputs the same with the [mask] in the last row."""
        vectors_KD = self.item.weight if items_K is None else self.item(items_K)
        return EncodedItems(vectors_KD, torch.cat([vectors_KD, self.mask_vector.weight]))

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """The weighted sum of the losses of the four tasks, summed over places and sequences."""
        inputs_BL, rows_P, columns_P = predictions.inputs_BL, predictions.rows_P, predictions.columns_P
        drawn = {name: part[:, -inputs_BL.shape[1] :] for name, part in predictions.companions.items()}
        places_PD = self.sequences.at_places(items, inputs_BL, rows_P, columns_P)
        hidden_P = inputs_BL[rows_P, columns_P] == self.mask
        negatives_P = drawn["negative_BL"][rows_P, columns_P]
        weights = self.weights
        return (
            weights.aap * self._attribute_loss("aap", places_PD, predictions.targets_P, ~hidden_P)
            + weights.map * self._attribute_loss("map", places_PD, predictions.targets_P, hidden_P)
            + weights.mip * self._item_loss(items, places_PD, predictions.targets_P, negatives_P, hidden_P)
            + weights.sp * self._segment_loss(items, *(drawn[f"{part}_BL"] for part in ("rest", "segment", "other")))
        )

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The vectors [B, D] of the last place of the latest N - 1 items. They are not trained for recommendation."""
        return self.sequences.at_last_place(items, histories_BL[:, -self.longest_history :])

    def _attribute_loss(self, task: str, places_PD: Tensor, targets_P: Tensor, chosen_P: Tensor) -> Tensor:
        """The cross-entropy of each attribute at the chosen places, whose items have it or not."""
        queries_QD = self.tasks[task](places_PD[chosen_P])
        return multi_label_loss(queries_QD, self.attribute.weight, *self.attributes.of(targets_P[chosen_P]))

    def _item_loss(
        self, items: EncodedItems, places_PD: Tensor, targets_P: Tensor, negatives_P: Tensor, hidden_P: Tensor
    ) -> Tensor:
        """The hidden item is preferred to another item that is not in the sequence."""
        queries_QD = self.tasks["mip"](places_PD[hidden_P])
        pairs = (F.embedding(part[hidden_P], items.vectors_KD) for part in (targets_P, negatives_P))
        return preference_loss(*((queries_QD * vectors_QD).sum(1) for vectors_QD in pairs))

    def _segment_loss(self, items: EncodedItems, rest_BL: Tensor, segment_BL: Tensor, other_BL: Tensor) -> Tensor:
        """The hidden segment is preferred to another one, given the rest of the sequence."""
        inputs_SL = torch.cat([rest_BL, segment_BL, other_BL])
        rows_S = torch.arange(len(inputs_SL), device=inputs_SL.device)
        last_S = torch.full_like(rows_S, inputs_SL.shape[1] - 1)
        rest_BD, *segments = self.sequences.at_places(items, inputs_SL, rows_S, last_S).split(len(rest_BL))
        queries_BD = self.tasks["sp"](rest_BD)
        return preference_loss(*((queries_BD * vectors_BD).sum(1) for vectors_BD in segments))


def preference_loss(better_P: Tensor, worse_P: Tensor) -> Tensor:
    """The sum of -log sigmoid(sigmoid(better) - sigmoid(worse)).

    The inner sigmoids are in the authors' code and in RecBole's. They bound a term between 0.31 and 1.31.
    """
    return F.softplus(worse_P.sigmoid() - better_P.sigmoid()).sum()
