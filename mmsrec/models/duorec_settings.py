"""The settings of DuoRec."""

from typing import Annotated, Literal

from pydantic import Field

from mmsrec.models.sasrec_settings import SASRecSettings


class DuoRecSettings(SASRecSettings):
    """SASRec with a contrastive loss between sequences of the same target (Qiu et al., 2022)."""

    objective: Literal["next"] = Field(
        "next", description="the last place alone predicts, so a sequence has one target"
    )
    weight: Annotated[float, Field(ge=0)] = Field(description="coefficient of the contrastive loss")
    temperature: Annotated[float, Field(gt=0)] = Field(description="of the dot products in the contrastive loss")
