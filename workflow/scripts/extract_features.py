"""Stage extract_features: encodes the items of a domain, or reads their vectors from a table, into a feature file."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.errors import ParamsError
from mmsrec.features.extract import extract_frames, extract_pictures, extract_texts
from mmsrec.features.vector_table import extract_table
from mmsrec.settings.encoding import TableEncoder
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    row = row_of(read_params(flags.params).encoders, flags.encoder, "encoders")
    target = (flags.encoder, row, flags.output)
    if isinstance(row, TableEncoder):
        if flags.table is None:
            raise ParamsError("The encoder reads a table.", where=f"encoders.{flags.encoder}", fix="Give --table PATH.")
        extract_table(flags.items, flags.table, flags.encoder, row, flags.modality, flags.output, domain=flags.domain)
    elif flags.modality == "text":
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
    media.add_argument("--media", type=Path, help="for pictures: their folder, with its ledger.parquet")
    media.add_argument("--frames", type=Path, help="for videos: the table of their frames")
    media.add_argument("--table", type=Path, help="for an encoder of the kind table: its Parquet file of vectors")
    arguments.add_argument("--output", type=Path, required=True, help="feature file to write")
    stage.run(main, arguments)
