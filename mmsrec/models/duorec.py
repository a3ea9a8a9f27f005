"""DuoRec (Qiu et al., 2022): SASRec, whose vectors of sequences with the same target are drawn together."""

from typing import ClassVar

from torch import Tensor

from mmsrec.models.duorec_settings import DuoRecSettings
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.sasrec import SASRec
from mmsrec.nn.companions import SameTarget
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.pair_loss import pair_loss
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.retrieval_loss import retrieval_loss
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
        sequences, inputs_BL = self.sequences, predictions.inputs_BL
        queries_PD = sequences.of_sequences(items, inputs_BL)
        second_BD = sequences.of_sequences(items, inputs_BL)
        partners_BD = sequences.of_sequences(items, predictions.companions["same_target_BL"])
        contrast = pair_loss(second_BD, partners_BD, self.settings.temperature)
        prediction = retrieval_loss(queries_PD, items.vectors_KD, predictions, self.precision)
        return prediction + self.settings.weight * len(second_BD) * contrast
