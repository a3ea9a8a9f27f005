"""Each model's settings class and the function that builds its network."""

from collections.abc import Callable
from typing import NamedTuple

from mmsrec.models.dataset import Dataset
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.pop import Pop
from mmsrec.models.recommender import Recommender
from mmsrec.models.sasrec import SASRec
from mmsrec.settings.experiments import Training
from mmsrec.settings.row import Frozen
from mmsrec.settings.trainer import Trainer


class Builder(NamedTuple):
    """How one model is built.

    Attributes:
        settings: the class of its settings.
        network: builds the untrained network from a data set, the settings and the trainer's settings.
    """

    settings: type[Frozen]
    network: Callable[[Dataset, Frozen, Trainer], Recommender]


BUILDERS: dict[str, Builder] = {
    "pop": Builder(Training, lambda dataset, settings, trainer: Pop(len(dataset.item_ids))),
    "sasrec": Builder(Training, lambda dataset, settings, trainer: SASRec(len(dataset.item_ids), settings)),
    "mmsrec": Builder(Training, lambda dataset, settings, trainer: MMSRec(dataset.features, settings)),
}


def build(model: str, dataset: Dataset, settings: Frozen, trainer: Trainer) -> Recommender:
    """The untrained network, on the device of the sequences; initial weights come from torch's global generator."""
    return BUILDERS[model].network(dataset, settings, trainer).to(dataset.sequences.items_A.device)
