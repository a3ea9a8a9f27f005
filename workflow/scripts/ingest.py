"""Stage ingest: turns the raw files of a domain into interactions.parquet and items.parquet."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.settings.params import read_params, row_of
from mmsrec.sources.ingest import ingest


def main(flags: Namespace) -> None:
    domain = row_of(read_params(flags.params).domains, flags.domain, "domains")
    ingest(domain.source, flags.interactions, flags.items, domain.text_fields, flags.output, flags.texts)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains`")
    arguments.add_argument("--interactions", type=Path, required=True, help="raw file of the actions")
    arguments.add_argument("--items", type=Path, required=True, help="raw file of the items; it may be the same")
    arguments.add_argument("--texts", type=Path, nargs="*", default=[], help="further tables of texts by item id")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the two tables")
    stage.run(main, arguments)
