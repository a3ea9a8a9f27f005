"""The pre-training of UniSRec on the sequences of one domain or of a union of domains (Hou et al., 2022)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mmsrec.models.recommender import ModelInputs
from mmsrec.models.unisrec import UniSRec
from mmsrec.models.unisrec_settings import UniSRecPretrainingSettings
from mmsrec.nn.batch_loss import batch_cross_entropy
from mmsrec.nn.companions import Companions, ItemDrop
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.predictions import Predictions
from mmsrec.settings.trainer import Trainer


class UniSRecPretraining(UniSRec):
    """UniSRec's network, trained by two contrastive tasks among the sequences of a step.

    A place finds its next item among the next items of all places. A sequence finds its own second view, from which
    items are dropped, among the second views of all sequences. The last weights are the result.
    """

    validated = False
    whole_step = True

    def __init__(self, inputs: ModelInputs, settings: UniSRecPretrainingSettings, trainer: Trainer) -> None:
        super().__init__(inputs, settings, trainer)
        self._companions = ItemDrop(self.items, self.absent, settings.item_drop)

    @property
    def companions(self) -> Companions:
        return self._companions

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """The sum of the first task over the places, plus the weighted mean of the second, times the number of places.

        So the loss divided by the number of places is the sum of two means, as in the original.
        """
        settings, targets_P = self.settings, predictions.targets_P
        queries_PD = self.at_predictions(items, predictions)
        total = batch_cross_entropy(queries_PD, items.vectors_KD[targets_P], targets_P, settings.temperature)
        if settings.sequence_weight:
            last_P = predictions.columns_P == predictions.inputs_BL.shape[1] - 1
            second_BD = self._last_places(items, predictions.companions["item_drop_BL"])
            own = batch_cross_entropy(queries_PD[last_P], second_BD, targets_P[last_P], settings.temperature)
            total = total + settings.sequence_weight * own * len(queries_PD) / len(second_BD)
        return total

    def _last_places(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        rows_B = torch.arange(len(inputs_BL), device=inputs_BL.device)
        columns_B = torch.full_like(rows_B, inputs_BL.shape[1] - 1)
        return F.normalize(self.sequences.at_places(items, inputs_BL, rows_B, columns_B), dim=1)
