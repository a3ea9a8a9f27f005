"""The config.json of a trained folder, read into a class that checks every key."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mmsrec.errors import ArtifactError, CheckpointError
from mmsrec.settings.row import Frozen

NAME = "config.json"
SHOWN = 200  # characters of a wrong value that a message quotes

Kind = TypeVar("Kind", bound=Frozen)


def read_config_file(folder: Path, kind: type[Kind], fix: str) -> Kind:
    """The config.json of a folder.

    Args:
        folder: folder of the file.
        kind: the class that the file must fit.
        fix: tells the reader how to write the folder again.

    Raises:
        ArtifactError: the file is missing.
        CheckpointError: the file is not JSON, or a key is unknown, missing or of the wrong type.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError("A trained folder has no config.json.", where=path, fix=fix) from error
    return parse_config(content, kind, path, fix)


def parse_config(content: str | bytes, kind: type[Kind], path: Path, fix: str, *above: str) -> Kind:
    """Checks JSON against a class; errors as in `read_config_file`.

    Args:
        content: the JSON text.
        kind: the class that it must fit.
        path: the file that the text is from.
        fix: tells the reader how to write the folder again.
        above: the keys that lead to this text in the file.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False)[0]
        expected, found = _described(detail, kind)
        key = ".".join(map(str, (*above, *detail["loc"])))
        raise CheckpointError(
            "A stored configuration does not fit this version of mmsrec.",
            where=f"{path}: {key}" if key else path,
            expected=expected,
            found=found,
            fix=fix,
        ) from error


def _described(detail: dict[str, Any], kind: type[Frozen]) -> tuple[str, str]:
    """The expected and the found value of a validation error."""
    match detail["type"]:
        case "json_invalid":
            return "a JSON object", detail["msg"]
        case "extra_forbidden" if len(detail["loc"]) == 1:
            return f"one of the keys {', '.join(kind.model_fields) or '(none)'}", "an unknown key"
        case "extra_forbidden":
            return "no such key", "an unknown key"
        case "missing":
            return "this key", "no such key"
        case "value_error":
            return detail["msg"].removeprefix("Value error, "), repr(detail["input"])[:SHOWN]
        case _:
            return detail["msg"], repr(detail["input"])[:SHOWN]
