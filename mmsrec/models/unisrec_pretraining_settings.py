"""The settings of UniSRec's pre-training."""

from typing import Annotated

from pydantic import Field

from mmsrec.models.unisrec_settings import UniSRecSettings
from mmsrec.settings.row import Share


class UniSRecPretrainingSettings(UniSRecSettings):
    """UniSRec, and the two contrastive tasks of its pre-training (Hou et al., 2022)."""

    sequence_weight: Annotated[float, Field(ge=0)] = Field(
        description="weight of the loss between two views of a sequence"
    )
    item_drop: Share = Field(description="probability that an item is dropped from the second view of a sequence")
