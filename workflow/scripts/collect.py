"""Copies the files that a report shows into one folder."""

import shutil
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.files import atomic_path
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    for file in layout.collected_files(read_params(flags.params), flags.report):
        with atomic_path(flags.collected / file) as temporary:
            shutil.copyfile(Path(file), temporary)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    arguments.path("--collected", layout.COLLECTED, "folder of the copies")
    stage.run(main, arguments)
