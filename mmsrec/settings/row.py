"""The base class of every row of params.yaml, and the types that rows share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

# A name has no dot, because dots separate the keys of a path such as domains.ml-1m.crawl.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
RawPath = Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)+$", description="DATASET/FILE below data/raw")]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


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
