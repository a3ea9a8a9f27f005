"""SASRec (Kang and McAuley, 2018) with the softmax over all items: ids alone, every place predicts the next item."""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.models.recommender import Objective, TrainedRecommender
from mmsrec.nn.catalogue_loss import retrieval_loss
from mmsrec.nn.item_encoder import PRECISIONS
from mmsrec.nn.packing import Packing, packing_of_last
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.transformer import Dropout, Transformer, attention_mask, initialise, reduced_precision
from mmsrec.settings.experiments import Training


class SASRec(TrainedRecommender):
    """A causal transformer over item and position embeddings; a score is the dot product with the item's embedding.

    The blocks are those of the two towers (post-norm, GELU), as in the common re-implementations.

    Args:
        items: of the catalogue.
        settings: widths, layers, heads and dropouts; what concerns features, objective and temperature is not read.
    """

    def __init__(self, items: int, settings: Training) -> None:
        super().__init__(items)
        self.settings = settings
        self.item = nn.Embedding(items, settings.dim)
        self.position = nn.Embedding(settings.max_length - 1, settings.dim)
        self.norm = nn.LayerNorm(settings.dim)
        self.dropout = Dropout(settings.embedding_dropout)
        self.transformer = Transformer(
            settings.dim, settings.layers, settings.heads, settings.feedforward, settings.hidden_dropout
        )
        initialise(self)

    @property
    def objective(self) -> Objective:
        return "causal"

    @property
    def longest_history(self) -> int:
        return self.settings.max_length - 1

    def catalogue(self, items_K: Tensor | None = None) -> tuple[Tensor]:
        """The item embeddings [K, D]."""
        return (self.item.weight if items_K is None else self.item(items_K),)

    def loss(self, catalogue: tuple[Tensor, ...], predictions: Predictions) -> Tensor:
        """Softmax cross-entropy over the catalogue's items, summed over the predictions."""
        inputs_BL = predictions.inputs_BL
        packing = Packing(inputs_BL < len(catalogue[0]), predictions.rows_P, predictions.columns_P)
        queries_PD = self._retrieving(catalogue[0], inputs_BL, packing)
        return retrieval_loss(queries_PD, catalogue[0], predictions, PRECISIONS[self.settings.precision])

    def user_vectors(self, catalogue: tuple[Tensor, ...], histories_BL: Tensor) -> Tensor:
        """The vectors after the last N - 1 items."""
        inputs_BL = histories_BL[:, -self.longest_history :]
        return self._retrieving(catalogue[0], inputs_BL, packing_of_last(*inputs_BL.shape, inputs_BL.device))

    def _retrieving(self, items_KD: Tensor, inputs_BL: Tensor, packing: Packing) -> Tensor:
        length = inputs_BL.shape[1]
        exists_BL = inputs_BL < len(items_KD)
        looked_up_N = inputs_BL.flatten()[packing.place_N].clamp(max=len(items_KD) - 1)
        embedded_ND = F.embedding(looked_up_N, items_KD) + self.position(length - 1 - packing.place_N % length)
        mask = attention_mask(None if exists_BL.all() else exists_BL, length, 1, inputs_BL.device)
        with reduced_precision(PRECISIONS[self.settings.precision], inputs_BL.device, len(embedded_ND)):
            hidden_W1D = self.transformer.wanted(self.dropout(self.norm(embedded_ND))[:, None], mask, packing)
        return hidden_W1D[: packing.wanted, 0].float()
