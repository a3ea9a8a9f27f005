"""Writes the raw files and the media of the demo world into a folder that serves as a mirror."""

import argparse
import logging
from pathlib import Path

import stage

from mmsrec.demo.addresses import MEDIA
from mmsrec.demo.media_files import write_media
from mmsrec.demo.mirror import make_world, write_mirror
from mmsrec.demo.taste_world import SIZES


def main(flags: argparse.Namespace) -> None:
    world = make_world(SIZES[flags.size], flags.seed)
    written = write_mirror(flags.output, world, flags.media_base)
    logging.info("demo world in %s: wrote %s", flags.output, ", ".join(map(str, written)) or "nothing new")
    logging.info("demo world in %s: made %d pictures and films", flags.output, write_media(flags.output, world))


def world_flags(arguments: argparse.ArgumentParser) -> None:
    """Adds the flags that name a world and the folder of its mirror."""
    arguments.add_argument("--output", type=Path, required=True, help="folder of the mirror")
    arguments.add_argument("--seed", type=stage.seed, default=2023, help="seed of the world's random draws")
    arguments.add_argument("--size", choices=sorted(SIZES), default="demo")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    world_flags(arguments)
    arguments.add_argument("--media-base", default=MEDIA, help="base URL of the items' pictures")
    stage.run(main, arguments)
