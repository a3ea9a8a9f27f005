"""Copies the files that a report shows into one folder."""

import shutil
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.errors import ArtifactError
from mmsrec.files import atomic_path
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    for file in map(Path, layout.collected_files(read_params(flags.params), flags.report)):
        if not file.is_file():
            raise ArtifactError("A file of the report is missing.", where=file, fix="Run the stage that writes it.")
        with atomic_path(flags.collected / file) as temporary:
            shutil.copyfile(file, temporary)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    arguments.path("--collected", layout.COLLECTED, "folder of the copies")
    stage.run(main, arguments)
