"""Turns the raw items of a catalogue into items.parquet, without the items of the domain's lowest k-core."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.settings.data import Domain
from mmsrec.settings.params import read_params, row_of
from mmsrec.sources.new_items import ingest_items


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    catalogue = row_of(params.catalogues, flags.catalogue, "catalogues")
    domain = stage.domain(params, catalogue.domain, Domain)
    ingest_items(
        domain.source,
        flags.raw / catalogue.items,
        domain.text_fields,
        flags.known or stage.items_file(params, catalogue.domain),
        flags.output,
        [flags.raw / path for path in domain.texts],
    )


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--catalogue", required=True, help="row of `catalogues` in the parameter file")
    arguments.add_argument("--known", type=Path, help="items that are not new (default: those of the lowest k-core)")
    arguments.path("--raw", layout.RAW, "folder that the rows' paths start from")
    arguments.path("--output", layout.CATALOGUE_ITEMS, "table of items to write")
    stage.run(main, arguments)
