"""The settings of UniSRec."""

from typing import Annotated

from pydantic import Field

from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.settings.row import Positive, Share


class UniSRecSettings(SASRecSettings):
    """SASRec's body over item vectors that are made from features (Hou et al., 2022)."""

    experts: Positive = Field(description="number of whitened projections that are mixed for each item")
    adaptor_dropout: Share = Field(description="dropout of the features in front of each projection")
    temperature: Annotated[float, Field(gt=0)]
