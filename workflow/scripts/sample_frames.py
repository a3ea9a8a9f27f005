"""Stage sample_frames: a few frames of each video that a crawl fetched."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.features.frame_table import sample_frames
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    sample_frames(flags.media, read_params(flags.params).frames, flags.output)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--media", type=Path, required=True, help="folder of the crawl, with its ledger.parquet")
    arguments.add_argument("--output", type=Path, required=True, help="table of frames to write")
    stage.run(main, arguments)
