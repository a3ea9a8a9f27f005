"""Filters a domain to its k-core and orders its users' sequences."""

from pathlib import Path

import stage

from mmsrec.sequences.prepare import prepare
from mmsrec.settings.params import read_params


def main(flags):
    params = read_params(flags.params)
    statistics = prepare(
        flags.ingested,
        flags.output,
        domain=flags.domain,
        k=flags.k_core,
        ties=params.domains[flags.domain].ties,
        tie_seed=params.prepare.tie_seed,
    )
    print(
        f"{statistics.domain}, k={statistics.k_core}: {statistics.users:,} users, {statistics.items:,} items, "
        f"{statistics.actions:,} actions"
    )


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    parser.add_argument("--k-core", type=int, required=True, help="least interactions of a user and of an item")
    parser.add_argument("--ingested", type=Path, required=True, help="folder that the ingest stage wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder for the tables of this k-core")
    stage.run(main, parser)
