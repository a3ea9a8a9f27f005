"""What every row of params.yaml is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Without a dot, which separates the keys of a path such as domains.ml-1m.training.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
RawPath = Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)+$", description="DATASET/FILE below data/raw")]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Frozen(BaseModel):
    """A row of params.yaml: no unknown keys, no conversions between types, no later change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
