"""Stage extract_features: the items of a domain, through a frozen encoder, into a feature file."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.features.extract import extract_frames, extract_pictures, extract_texts
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    row = row_of(read_params(flags.params).encoders, flags.encoder, "encoders")
    target = (flags.encoder, row, flags.output)
    if flags.modality == "text":
        extract_texts(flags.items, *target, domain=flags.domain)
    elif flags.frames:
        extract_frames(flags.items, flags.frames, *target, domain=flags.domain)
    else:
        extract_pictures(flags.items, flags.media, *target, domain=flags.domain)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` or `corpora` in the parameter file")
    arguments.add_argument("--encoder", required=True, help="row of `encoders` in the parameter file")
    arguments.add_argument("--modality", required=True, choices=["text", "vision"], help="what to encode")
    arguments.add_argument("--items", type=Path, required=True, help="items.parquet of the domain's lowest k")
    media = arguments.add_mutually_exclusive_group()
    media.add_argument("--media", type=Path, help="of vision: the pictures' folder, with its ledger.parquet")
    media.add_argument("--frames", type=Path, help="of vision: the table of the videos' frames")
    arguments.add_argument("--output", type=Path, required=True, help="feature file to write")
    stage.run(main, arguments)
