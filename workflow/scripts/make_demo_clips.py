"""Writes the demo's shards of captioned clips into its mirror, with encoded frames, in place of files on the hub."""

import argparse
import logging

import stage
from make_demo import world_flags

from mmsrec.demo.clip_shards import write_shards
from mmsrec.demo.mirror import make_world
from mmsrec.demo.taste_world import SIZES
from mmsrec.features.encoders import encoder_digest, load_encoder
from mmsrec.settings.params import read_params, row_of


def main(flags: argparse.Namespace) -> None:
    row = row_of(read_params(flags.params).encoders, flags.encoder, "encoders")
    corpus = make_world(SIZES[flags.size], flags.seed).corpus
    encoder = load_encoder(flags.encoder, row)
    batch = encoder.tower("vision").batch_size
    written = write_shards(flags.output, corpus, encoder.encode_images, encoder_digest(row), batch)
    logging.info("demo clips in %s: wrote %d shards", flags.output, written)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    world_flags(arguments)
    arguments.add_argument("--encoder", required=True, help="row of `encoders` in the parameter file")
    stage.run(main, arguments)
