"""Writes the attributes of a k-core's items: brands, categories, genres."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.settings.params import read_params
from mmsrec.settings.plan import attribute_rules
from mmsrec.sources.attribute_table import write_attributes


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    rules, domain = attribute_rules(params, flags.domain), params.domains[flags.domain]
    counts = write_attributes(domain.source, flags.raw / domain.items, flags.items, rules, flags.output)
    print(
        f"{flags.domain}, k={flags.k_core}: {counts.attributes:,} attributes, "
        f"{counts.values / counts.items:.2f} an item"
    )


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` in the parameter file")
    arguments.add_argument("--k-core", type=stage.positive, required=True, help="least interactions of a user and item")
    arguments.path("--raw", layout.RAW, "folder that the row's paths start from")
    arguments.path("--items", layout.ITEMS, "items of the k-core")
    arguments.path("--output", layout.ATTRIBUTES, "table of attributes to write")
    stage.run(main, arguments)
