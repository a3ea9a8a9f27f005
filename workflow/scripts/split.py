"""Writes the sequences of a k-core in the order of one row of `splits`."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.sequences.split import split
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    users = split(flags.core, row_of(read_params(flags.params).splits, flags.split, "splits"), flags.output)
    print(f"{flags.domain}, k={flags.k_core}, {flags.split}: sequences of {users:,} users")


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.add_argument("--k-core", type=stage.positive, required=True, help="least interactions of a user and item")
    arguments.add_argument("--split", required=True, help="row of `splits` in the parameter file")
    arguments.path("--core", layout.CORE, "folder that the prepare stage wrote")
    arguments.path("--output", layout.SEQUENCES, "table of sequences to write")
    stage.run(main, arguments)
