"""Writes the raw files of the demo world into a folder that serves as a mirror."""

import argparse
import logging
from pathlib import Path

import stage

from mmsrec.demo.mirror import MEDIA_BASE, make_world, write_mirror
from mmsrec.demo.world import SIZES


def main(arguments: argparse.Namespace) -> None:
    written = write_mirror(arguments.output, make_world(SIZES[arguments.size], arguments.seed), arguments.media_base)
    logging.info("demo world in %s: wrote %s", arguments.output, ", ".join(map(str, written)) or "nothing new")


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--output", type=Path, required=True, help="folder of the mirror")
    flags.add_argument("--seed", type=int, default=2023, help="another seed is another world")
    flags.add_argument("--size", choices=sorted(SIZES), default="demo")
    flags.add_argument("--media-base", default=MEDIA_BASE, help="URL below which the items have their pictures")
    stage.run(main, flags)
