"""GRU4Rec (Hidasi et al., 2016; Tan et al., 2016) with the softmax over all items. It reads ids."""

from torch import nn

from mmsrec.models.gru4rec_settings import GRU4RecSettings
from mmsrec.models.id_recommender import IdRecommender
from mmsrec.models.recommender import ModelInputs
from mmsrec.nn.gru_encoder import GRUEncoder
from mmsrec.settings.trainer import Trainer


class GRU4Rec(IdRecommender):
    """A GRU over item embeddings; a score is the dot product with the item's embedding, as in RecBole."""

    def __init__(self, inputs: ModelInputs, settings: GRU4RecSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, settings.dim, settings.objective, trainer)
        self.sequences = GRUEncoder(settings.dim, settings.hidden, settings.dropout)
        nn.init.xavier_normal_(self.item.weight)
