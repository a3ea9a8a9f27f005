"""DuoRec (Qiu et al., 2022): SASRec, whose vectors of sequences with the same target are drawn together."""

from typing import ClassVar

import torch
from torch import Tensor

from mmsrec.models.duorec_settings import DuoRecSettings
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.sasrec import SASRec
from mmsrec.nn.companions import SameTarget
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.pair_loss import pair_loss
from mmsrec.nn.predictions import Predictions
from mmsrec.settings.trainer import Trainer


class DuoRec(SASRec):
    """SASRec with one more term of the loss, which compares all sequences of a step.

    A sequence passes the encoder twice, under two draws of dropout. The first pass predicts the target. The second
    pass and the pass of another sequence with the same target are a pair of the contrastive loss.
    """

    whole_step: ClassVar[bool] = True

    def __init__(self, inputs: ModelInputs, settings: DuoRecSettings, trainer: Trainer) -> None:
        super().__init__(inputs, settings, trainer)
        self.settings = settings

    @property
    def companions(self) -> SameTarget:
        return SameTarget(self.absent)

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """The cross-entropy over the items plus `weight` times the contrastive loss, summed over the sequences."""
        second_BD = self._vectors(items, predictions.inputs_BL)
        partners_BD = self._vectors(items, predictions.companions["same_target_BL"])
        contrast = pair_loss(second_BD, partners_BD, self.settings.temperature)
        return super().loss(items, predictions) + self.settings.weight * len(second_BD) * contrast

    def _vectors(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        """Vectors [B, D] of the last place of each sequence, without computing the padding."""
        rows_B = torch.arange(len(inputs_BL), device=inputs_BL.device)
        return self.sequences.at_places(items, inputs_BL, rows_B, torch.full_like(rows_B, inputs_BL.shape[1] - 1))
