"""The names of the exhibits, read from the folder so that a check of params.yaml imports no matplotlib."""

from pathlib import Path
from pkgutil import iter_modules

FOLDER = Path(__file__).with_name("exhibits")


def exhibit_names() -> list[str]:
    """The file stems below mmsrec/report/exhibits/, in alphabetical order."""
    return sorted(module.name for module in iter_modules([str(FOLDER)]))
