"""UniSRec (Hou et al., 2022) by features alone, the inductive setting: SASRec's body over adapted features."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.models.id_recommender import EPS
from mmsrec.models.recommender import ModelInputs, TrainedRecommender
from mmsrec.models.taken import Taken
from mmsrec.models.unisrec_settings import UniSRecSettings
from mmsrec.nn.adaptor import Adaptor
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.objectives import CAUSAL_OBJECTIVES, Causal
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.retrieval_loss import retrieval_loss
from mmsrec.nn.sequence_encoder import PositionedInput, SequenceEncoder
from mmsrec.nn.transformer import Transformer, initialise
from mmsrec.settings.trainer import Trainer

if TYPE_CHECKING:
    from mmsrec.training.model_folder import Config


class UniSRec(TrainedRecommender):
    """A causal transformer over vectors that an adaptor makes from the items' features; a score is a cosine.

    The model knows no ids, so its weights serve any domain whose features come from the same encoder. An item without
    a modality has zeros in place of its features. Several modalities are joined to one vector.

    Attributes:
        adaptor: item vectors from features.
        input: adds position embeddings, with LayerNorm and dropout.
        transformer: the blocks.
        sequences: computes the vectors of places with both.
    """

    items_in_parts = True

    def __init__(self, inputs: ModelInputs, settings: UniSRecSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, trainer)
        self.settings = settings
        self.features = nn.ModuleDict(inputs.features)
        width = sum(feature.vectors_IF.shape[1] for feature in inputs.features.values())
        self.adaptor = Adaptor(width, settings.dim, settings.experts, settings.adaptor_dropout, self.precision)
        self.input = PositionedInput(settings.dim, self.longest_history, settings.embedding_dropout, eps=EPS)
        self.transformer = Transformer.of(settings, eps=EPS)
        self.sequences = SequenceEncoder(
            self.input, self.transformer, self.objective.causal, self.precision, positions=settings.positions
        )
        initialise(self)

    @property
    def objective(self) -> Causal:
        return CAUSAL_OBJECTIVES[self.settings.objective]

    def take(self, weights: Mapping[str, Tensor], config: "Config") -> Taken:
        """Loads every tensor of a pre-training, then freezes the blocks and the positions.

        The adaptor and the LayerNorm of the inputs are trained (Section 2.3 of UniSRec's paper).
        """
        taken = super().take(weights, config)
        for module in (self.transformer, self.input.position):
            module.requires_grad_(False)
        return taken

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The adapted features [K, D], which sequences look up, and the same vectors with length one."""
        chosen = slice(None) if items_K is None else items_K
        vectors = [feature.vectors_IF[chosen] * feature.present_I[chosen, None] for feature in self.features.values()]
        adapted_KD = self.adaptor(torch.cat(vectors, dim=1))
        return EncodedItems(F.normalize(adapted_KD, dim=1), adapted_KD)

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """Softmax cross-entropy of cosine / temperature over the items, summed over the predictions."""
        queries_PD = self.at_predictions(items, predictions) / self.settings.temperature
        return retrieval_loss(queries_PD, items.vectors_KD, predictions, self.precision)

    def at_predictions(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """The vectors [P, D] of the predicted places, of length one."""
        places = (predictions.inputs_BL, predictions.rows_P, predictions.columns_P)
        return F.normalize(self.sequences.at_places(items, *places), dim=1)

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The vectors [B, D] of the last place of the latest N - 1 items, of length one."""
        return F.normalize(self.sequences.at_last_place(items, histories_BL[:, -self.longest_history :]), dim=1)
