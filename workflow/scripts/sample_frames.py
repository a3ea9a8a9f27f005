"""Samples a few frames of each video that a crawl fetched."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.features.frame_table import sample_frames
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    sample_frames(flags.media, params.frames, flags.output, required=flags.collection not in params.catalogues)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--collection", required=True, help="row of `domains`, `catalogues` or `corpora`")
    arguments.path("--media", layout.MEDIA, "folder of the crawl, with its ledger.parquet")
    arguments.path("--output", layout.FRAMES, "table of frames to write")
    stage.run(main, arguments)
