"""Downloads one source file from a mirror or from the URLs that the registry names.

The environment variable MMSREC_MIRROR names folders or base URLs that are tried first, separated by commas. Each
contains DATASET/FILE. The first download pins the digest of the file in the lock file beside the registry. Later
downloads must match it.
"""

import os
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.sources.download import fetch
from mmsrec.sources.file_registry import find, read_registry
from mmsrec.sources.pins import LockFile


def main(flags: Namespace) -> None:
    mirrors = [place.strip() for place in os.environ.get("MMSREC_MIRROR", "").split(",")]
    file = find(read_registry(flags.registry), flags.file)
    pins = LockFile(flags.lock or layout.lock_file(flags.registry), flags.accept)
    fetch(file, flags.output, [place for place in mirrors if place], pins=pins)


if __name__ == "__main__":
    arguments = stage.Parser(__doc__)
    arguments.add_argument("file", metavar="DATASET/FILE", help="file of the registry")
    arguments.add_argument("--registry", type=Path, default=layout.registry_file(), help="CSV file of sources")
    arguments.add_argument("--lock", type=Path, help="lock file (default: the registry's name with .lock.csv)")
    arguments.add_argument(
        "--accept", action="store_true", help="pin the file that is there, or else download it, whatever its pin is"
    )
    arguments.path("--output", layout.RAW_FILE, "file to write")
    stage.run(main, arguments)
