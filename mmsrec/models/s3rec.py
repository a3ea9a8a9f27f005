"""S3-Rec (Zhou et al., 2020): SASRec that starts from the weights of a pre-training on items and attributes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from mmsrec.models.s3rec_pretraining import TASKS
from mmsrec.models.sasrec import SASRec
from mmsrec.models.taken import Taken, take_tensors

if TYPE_CHECKING:
    from mmsrec.training.model_folder import Config

# Tensors that serve the tasks of pre-training alone.
OF_PRETRAINING = (
    "mask_vector.weight",
    "attribute.weight",
    *(f"tasks.{task}.{part}" for task in TASKS for part in ("weight", "bias")),
)


class S3Rec(SASRec):
    """SASRec with all its weights from `S3RecPretraining`: item vectors, positions and blocks."""

    def take(self, weights: Mapping[str, Tensor], config: "Config") -> Taken:
        """Loads every weight of the model; the [mask], the attributes and the tasks of pre-training are left out."""
        return take_tensors(self, weights, unused=OF_PRETRAINING)
