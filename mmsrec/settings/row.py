"""The base class of every row of params.yaml, and the types that rows share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

# A name has no dot, because dots separate the keys of a path such as domains.ml-1m.crawl.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
RawPath = Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)+$", description="DATASET/FILE below data/raw")]
Share = Annotated[float, Field(ge=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
# Every number has both bounds. The upper ones are far above any use: they catch a slip of the keyboard before a stage
# fails for want of memory.
LARGEST = 2**31 - 1
LARGEST_SEED = 2**32 - 1
Positive = Annotated[int, Field(ge=1, le=LARGEST)]
Natural = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Bytes = Annotated[int, Field(ge=1, le=2**40)]
BatchSize = Annotated[int, Field(ge=1, le=2**20)]
Epochs = Annotated[int, Field(ge=1, le=10**6)]
Few = Annotated[int, Field(ge=1, le=1000)]  # layers, heads, tries, requests at a time
Width = Annotated[int, Field(ge=1, le=2**16)]  # components of a vector, pixels of a side, items of a sequence
Rate = Annotated[float, Field(gt=0, le=1e6)]  # of learning, of requests, temperatures, norms
Weight = Annotated[float, Field(ge=0, le=1e6)]


class Frozen(BaseModel):
    """A row of params.yaml: no unknown keys, no conversions between types, no later change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def overrides(name: str, row: type[Frozen]) -> type[Frozen]:
    """Makes a class with the fields of `row`, all of them optional, for rows that override some settings."""
    return create_model(name, __base__=Frozen, **{field: _optional(info) for field, info in row.model_fields.items()})


def _optional(field: FieldInfo) -> tuple[Any, Any]:
    bounds = tuple(field.metadata)
    kind = Annotated[(field.annotation, *bounds)] if bounds else field.annotation
    return kind | None, Field(None, description=field.description)
