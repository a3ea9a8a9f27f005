"""Checks that the raw files that exist are those that the lock file pins."""

import logging
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.sources.pins import LockFile, check_files


def main(flags: Namespace) -> None:
    pins = LockFile(flags.lock).read()
    logging.info("%s: %d of %d files are there, and they match", flags.lock, check_files(pins, flags.raw), len(pins))


if __name__ == "__main__":
    arguments = stage.Parser(__doc__)
    arguments.add_argument("--lock", type=Path, default=layout.lock_file(layout.registry_file()), help="lock file")
    arguments.path("--raw", layout.RAW, "folder that contains DATASET/FILE")
    stage.run(main, arguments)
