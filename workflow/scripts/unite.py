"""Joins the ingested tables of several domains to one domain, whose ids begin with their domain's name."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.settings.data import UnionDomain
from mmsrec.settings.params import read_params
from mmsrec.sources.union import unite


def main(flags: Namespace) -> None:
    union = stage.domain(read_params(flags.params), flags.domain, UnionDomain)
    unite(flags.ingested, union.of, flags.output)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.path("--ingested", layout.INGESTED_DOMAINS, "folder of the ingested domains")
    arguments.path("--output", layout.INGESTED, "folder of the two tables")
    stage.run(main, arguments)
