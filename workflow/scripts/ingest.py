"""Turns the raw files of a domain into interactions.parquet and items.parquet."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.settings.data import Domain
from mmsrec.settings.params import read_params
from mmsrec.sources.ingest import ingest


def main(flags: Namespace) -> None:
    domain = stage.domain(read_params(flags.params), flags.domain, Domain)
    ingest(
        domain.source,
        flags.raw / domain.interactions,
        flags.raw / domain.items,
        domain.text_fields,
        flags.output,
        [flags.raw / path for path in domain.texts],
    )


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.path("--raw", layout.RAW, "folder that the row's paths start from")
    arguments.path("--output", layout.INGESTED, "folder of the two tables")
    stage.run(main, arguments)
