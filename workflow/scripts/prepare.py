"""Filters a domain to its k-core, and writes its interactions, items and statistics."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.sequences.prepare import prepare
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    repeats = row_of(read_params(flags.params).domains, flags.domain, "domains").repeats
    statistics = prepare(flags.ingested, flags.output, domain=flags.domain, k=flags.k_core, repeats=repeats)
    print(
        f"{statistics.domain}, k={statistics.k_core}: {statistics.users:,} users, {statistics.items:,} items, "
        f"{statistics.actions:,} actions, {statistics.repeated_pairs:,} of them repeat a user's item"
    )


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.add_argument("--k-core", type=stage.positive, required=True, help="least interactions of a user and item")
    arguments.path("--ingested", layout.INGESTED, "folder that the ingest stage wrote")
    arguments.path("--output", layout.CORE, "folder for the tables of this k-core")
    stage.run(main, arguments)
