"""What every row of params.yaml is made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

# Without a dot, which separates the keys of a path such as domains.ml-1m.training.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
RawPath = Annotated[str, Field(pattern=r"^[\w-][\w.-]*(/[\w-][\w.-]*)+$", description="DATASET/FILE below data/raw")]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Frozen(BaseModel):
    """A row of params.yaml: no unknown keys, no conversions between types, no later change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def overrides(name: str, row: type[Frozen]) -> type[Frozen]:
    """The fields of `row`, none of them required: a row that names what it changes."""
    return create_model(name, __base__=Frozen, **{field: _optional(info) for field, info in row.model_fields.items()})


def _optional(field: FieldInfo) -> tuple[Any, Any]:
    bounds = tuple(field.metadata)
    kind = Annotated[(field.annotation, *bounds)] if bounds else field.annotation
    return kind | None, Field(None, description=field.description)
