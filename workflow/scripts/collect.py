"""Copies the files that a report shows into a folder of the report's own, under their paths."""

import shutil
from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.errors import ArtifactError
from mmsrec.files import atomic_path


def main(flags: Namespace) -> None:
    for file in flags.files:
        _collect(file, flags.output)


def _collect(file: Path, folder: Path) -> None:
    if file.is_absolute() or ".." in file.parts:
        raise ArtifactError("A file to collect leaves the folder.", where=file, expected="a path below the current one")
    if not file.is_file():
        raise ArtifactError("A file to collect is missing.", where=file, fix="Run the stage that writes it.")
    with atomic_path(folder / file) as temporary:
        shutil.copyfile(file, temporary)


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="files, as paths below the current folder")
    parser.add_argument("--output", type=Path, required=True, help="folder for the copies")
    stage.run(main, parser)
