"""Stage extract_features: the items of a domain, through a frozen encoder, into a feature file."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.features.extract import extract_texts
from mmsrec.params import read_params, row_of


def main(flags: Namespace) -> None:
    row = row_of(read_params(flags.params).encoders, flags.encoder, "encoders")
    extract_texts(flags.items, flags.encoder, row, flags.output, domain=flags.domain)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains`")
    arguments.add_argument("--encoder", required=True, help="row of `encoders`")
    arguments.add_argument("--modality", required=True, choices=["text"], help="what to encode")
    arguments.add_argument("--items", type=Path, required=True, help="items.parquet of the domain's lowest k")
    arguments.add_argument("--output", type=Path, required=True, help="feature file to write")
    stage.run(main, arguments)
