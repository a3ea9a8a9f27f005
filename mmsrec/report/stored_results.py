"""Reads the JSON results of earlier stages and checks that they belong to the report's parameters."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from mmsrec.errors import ArtifactError
from mmsrec.files import read_json
from mmsrec.settings.layouts import RETRIEVED
from mmsrec.settings.plan import Core, Cut, Experiment, Retrieval

Count = Annotated[int, Field(ge=0)]
Score = Annotated[float, Field(ge=0, le=1)]
Row = TypeVar("Row", Core, Cut, Experiment, Retrieval)


class Result(BaseModel):
    """A JSON file of an earlier stage; keys that a report does not show are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


Model = TypeVar("Model", bound=Result)


def keys_of(row: type[Row]) -> dict[str, type]:
    """The fields that name a row of a report, each with its Python type."""
    return get_type_hints(row)


def _named_by(row: type[Row]) -> dict[str, Any]:
    return {name: (kind, ...) for name, kind in keys_of(row).items()}


class _Sizes(Result):
    users: Count
    items: Count
    actions: Count
    sparsity: Score
    mean_length: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Scores(Result):
    candidates: list[str]
    ties: str
    metrics: dict[str, dict[str, Score]]
    chance: dict[str, dict[str, Score]]


_Recalls = create_model("_Recalls", __base__=Result, **dict.fromkeys(RETRIEVED, (float, ...)))


class _Directions(Result):
    pairs: Count
    metrics: Annotated[dict[str, dict[str, _Recalls]], Field(min_length=1)]
    chance: _Recalls


# Each file repeats the fields of its row, so a further field of the row is read and checked without an edit here.
StatisticsResult = create_model("StatisticsResult", __base__=_Sizes, **_named_by(Core))
MetricsResult = create_model("MetricsResult", __base__=_Scores, **_named_by(Experiment))
RetrievalResult = create_model("RetrievalResult", __base__=_Directions, **_named_by(Retrieval))


def present(path_of: Callable[[Row], Path], rows: Iterable[Row], stage: str) -> dict[Row, Path]:
    """The file of every row.

    Raises:
        ArtifactError: files are missing; the message names them all and the stage to run.
    """
    files = {row: path_of(row) for row in rows}
    missing = {row: path for row, path in files.items() if not path.is_file()}
    if missing:
        raise ArtifactError(
            f"The report needs {len(files)} files of the stage {stage}; {len(missing)} are missing.",
            where="".join(f"\n    {path}" for path in missing.values()),
            fix=f"Run the stage {stage} for {', '.join(row.name for row in missing)}.",
        )
    return files


def read_result(path: Path, model: type[Model]) -> Model:
    """Reads and validates one JSON result.

    Raises:
        ArtifactError: the file is missing, is not JSON, or lacks a key, or a value has a wrong type or range.
    """
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise ArtifactError(
            "A result does not have the keys and values of its artifact.",
            where=path,
            found="; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()),
            fix="Delete it and run the stage that writes it.",
        ) from error


def check(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], fix: str) -> None:
    """Compares the values of a result with the report's parameters.

    Raises:
        ArtifactError: they differ; the message has the differing keys only.
    """
    wrong = [key for key in expected if found[key] != expected[key]]
    if wrong:
        raise ArtifactError(
            "A result was made with other parameters than the report's.",
            where=path,
            expected={key: expected[key] for key in wrong},
            found={key: found[key] for key in wrong},
            fix=fix,
        )
