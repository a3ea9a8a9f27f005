"""Downloads one source file from a mirror or from the URLs that the registry names.

The environment variable MMSREC_MIRROR names folders or base URLs that are tried first, separated by commas. Each
contains DATASET/FILE.
"""

import os
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.sources.download import fetch
from mmsrec.sources.file_registry import find, read_registry


def main(flags: Namespace) -> None:
    mirrors = [place.strip() for place in os.environ.get("MMSREC_MIRROR", "").split(",")]
    file = find(read_registry(flags.registry), flags.file)
    fetch(file, flags.output, [place for place in mirrors if place])


if __name__ == "__main__":
    arguments = stage.Parser(__doc__)
    arguments.add_argument("file", metavar="DATASET/FILE", help="file of the registry")
    arguments.add_argument("--registry", type=Path, default=layout.registry_file(), help="CSV file of sources")
    arguments.path("--output", layout.RAW_FILE, "file to write")
    stage.run(main, arguments)
