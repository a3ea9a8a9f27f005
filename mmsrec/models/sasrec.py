"""SASRec (Kang and McAuley, 2018) with the softmax over all items. It reads ids. Each place predicts the next item."""

from torch import Tensor, nn

from mmsrec.models.recommender import ModelInputs, TrainedRecommender
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.objectives import Causal
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.retrieval_loss import retrieval_loss
from mmsrec.nn.sequence_encoder import PositionedInput, SequenceEncoder
from mmsrec.nn.transformer import Transformer, initialise
from mmsrec.settings.trainer import Trainer

EPS = 1e-12  # of LayerNorm, as in RecBole's SASRec


class SASRec(TrainedRecommender):
    """A causal transformer over item and position embeddings; a score is the dot product with the item's embedding.

    The blocks are post-norm with GELU, as in RecBole.
    """

    objective = Causal()

    def __init__(self, inputs: ModelInputs, settings: SASRecSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, trainer)
        sizes = (settings.dim, settings.layers, settings.heads, settings.feedforward, settings.hidden_dropout)
        self.item = nn.Embedding(inputs.items, settings.dim)
        self.input = PositionedInput(settings.dim, self.longest_history, settings.embedding_dropout, eps=EPS)
        self.transformer = Transformer(*sizes, eps=EPS)
        self.sequences = SequenceEncoder(self.input, self.transformer, self.objective.causal, self.precision)
        initialise(self)

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The item embeddings [K, D]; sequences look up the same vectors."""
        return EncodedItems(self.item.weight if items_K is None else self.item(items_K))

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """Softmax cross-entropy over the items, summed over the predictions."""
        queries_PD = self.sequences.at_places(items, predictions.inputs_BL, predictions.rows_P, predictions.columns_P)
        return retrieval_loss(queries_PD, items.vectors_KD, predictions, self.precision)

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The vectors [B, D] of the last place of the latest N - 1 items."""
        return self.sequences.at_last_place(items, histories_BL[:, -self.longest_history :])
