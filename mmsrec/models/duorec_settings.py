"""The settings of DuoRec."""

from typing import Literal

from pydantic import Field

from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.settings.row import Rate, Weight


class DuoRecSettings(SASRecSettings):
    """SASRec with a contrastive loss between sequences of the same target (Qiu et al., 2022)."""

    objective: Literal["next"] = Field(
        "next", description="the last place alone predicts, so a sequence has one target"
    )
    weight: Weight = Field(description="coefficient of the contrastive loss")
    temperature: Rate = Field(description="of the dot products in the contrastive loss")
