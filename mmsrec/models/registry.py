"""The registry of the models, with one line for each. The module imports torch only when a model is built."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from mmsrec.models.blend_settings import BlendSettings
from mmsrec.models.content_settings import ContentSettings
from mmsrec.models.duorec_settings import DuoRecSettings
from mmsrec.models.fdsa_settings import FDSASettings
from mmsrec.models.gru4rec_settings import GRU4RecSettings
from mmsrec.models.mmsrec_settings import MMSRecSettings
from mmsrec.models.pop_settings import PopSettings
from mmsrec.models.s3rec_pretraining_settings import S3RecPretrainingSettings
from mmsrec.models.s3rec_settings import S3RecSettings
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.models.unisrec_settings import UniSRecPretrainingSettings, UniSRecSettings
from mmsrec.settings.row import Frozen

if TYPE_CHECKING:
    from mmsrec.models.recommender import Recommender


@dataclass(frozen=True)
class Model:
    """The facts about a model that the pipeline needs before it builds one.

    Attributes:
        settings: class of the model's own settings.
        network: MODULE:CLASS below mmsrec.models; built as CLASS(inputs, settings, trainer).
        reads_features: whether the model knows an item by its features; otherwise by its id.
        reads_attributes: whether the model reads the items' attributes, such as brands and genres.
        trained: whether steps of gradient descent train it; otherwise it is fitted without steps.
        validated: whether validation chooses its weights; otherwise the model is a pre-training on sequences. Other
            trainings start from its last weights, and it is not evaluated.
        blends: whether the model sums the scores of other trained models; built as CLASS(their networks).
        starts: names of the models whose weights its training can start from.
    """

    settings: type[Frozen]
    network: str
    reads_features: bool = False
    reads_attributes: bool = False
    trained: bool = True
    validated: bool = True
    blends: bool = False
    starts: frozenset[str] = frozenset()

    def network_class(self) -> "type[Recommender]":
        """The class of the network."""
        module, name = self.network.split(":")
        return getattr(import_module(f"mmsrec.models.{module}"), name)


MODELS: dict[str, Model] = {
    "pop": Model(PopSettings, "pop:Pop", trained=False),
    "content": Model(ContentSettings, "content:Content", reads_features=True, trained=False),
    "blend": Model(BlendSettings, "blend:Blend", reads_features=True, trained=False, blends=True),
    "gru4rec": Model(GRU4RecSettings, "gru4rec:GRU4Rec"),
    "sasrec": Model(SASRecSettings, "sasrec:SASRec"),
    "fdsa": Model(FDSASettings, "fdsa:FDSA", reads_attributes=True),
    "s3rec-pretraining": Model(
        S3RecPretrainingSettings, "s3rec_pretraining:S3RecPretraining", reads_attributes=True, validated=False
    ),
    "s3rec": Model(S3RecSettings, "s3rec:S3Rec", starts=frozenset({"s3rec-pretraining"})),
    "duorec": Model(DuoRecSettings, "duorec:DuoRec"),
    "mmsrec": Model(MMSRecSettings, "mmsrec:MMSRec", reads_features=True, starts=frozenset({"mmsrec"})),
    "unisrec-pretraining": Model(
        UniSRecPretrainingSettings, "unisrec_pretraining:UniSRecPretraining", reads_features=True, validated=False
    ),
    "unisrec": Model(
        UniSRecSettings, "unisrec:UniSRec", reads_features=True, starts=frozenset({"unisrec-pretraining"})
    ),
}
