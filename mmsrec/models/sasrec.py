"""SASRec (Kang and McAuley, 2018) with the softmax over all items. It reads ids. Each place predicts the next item."""

from mmsrec.models.id_recommender import EPS, IdRecommender
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.nn.sequence_encoder import PositionedInput, SequenceEncoder
from mmsrec.nn.transformer import Transformer, initialise
from mmsrec.settings.trainer import Trainer


class SASRec(IdRecommender):
    """A causal transformer over item and position embeddings; a score is the dot product with the item's embedding.

    The blocks are post-norm with GELU, as in RecBole. A subclass may add modules and call `initialise` again.

    Attributes:
        input: adds position embeddings to item vectors, with LayerNorm and dropout.
        transformer: the blocks.
        sequences: computes the vectors of places with both; an index beyond the item table is padding.
    """

    def __init__(self, inputs: ModelInputs, settings: SASRecSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, settings.dim, settings.objective, trainer)
        self.input = PositionedInput(settings.dim, self.longest_history, settings.embedding_dropout, eps=EPS)
        self.transformer = Transformer.of(settings, eps=EPS)
        self.sequences = SequenceEncoder(
            self.input, self.transformer, self.objective.causal, self.precision, positions=settings.positions
        )
        initialise(self)
