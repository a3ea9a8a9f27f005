"""The settings of UniSRec and of its pre-training."""

from pydantic import Field

from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.settings.row import Few, Rate, Share, Weight


class UniSRecSettings(SASRecSettings):
    """SASRec's body over item vectors that are made from features (Hou et al., 2022)."""

    experts: Few = Field(description="number of whitened projections that are mixed for each item")
    adaptor_dropout: Share = Field(description="dropout of the features in front of each projection")
    temperature: Rate


class UniSRecPretrainingSettings(UniSRecSettings):
    """UniSRec, and the two contrastive tasks of its pre-training (Hou et al., 2022)."""

    sequence_weight: Weight = Field(description="weight of the loss between two views of a sequence")
    item_drop: Share = Field(description="probability that an item is dropped from the second view of a sequence")
