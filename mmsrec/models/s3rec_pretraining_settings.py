"""The settings of S3-Rec's pre-training."""

from typing import Literal

from pydantic import Field

from mmsrec.models.transformer_settings import TransformerSettings
from mmsrec.settings.row import Frozen, Share, Weight


class TaskWeights(Frozen):
    """The weights of the summed losses of four tasks."""

    aap: Weight = Field(description="associated attributes: attributes of an item from its own place")
    mip: Weight = Field(description="masked items: a hidden item against another item")
    map: Weight = Field(description="masked attributes: attributes of a hidden item")
    sp: Weight = Field(description="segments: a hidden segment against another segment")


class S3RecPretrainingSettings(TransformerSettings):
    """A bidirectional transformer over items that learns from the items' attributes (Zhou et al., 2020)."""

    mask_probability: Share = Field(description="probability that an item is hidden")
    weights: TaskWeights
    positions: Literal["end", "start"] = Field(
        "end",
        description="end: positions count from the end of the window; start: from the first item in it",
    )
