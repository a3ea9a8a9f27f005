"""Crawls the trailers of a domain's items, and writes a ledger with the state of every item."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.crawl.crawl_run import require_answers
from mmsrec.crawl.trailers import crawl_trailers
from mmsrec.errors import ParamsError
from mmsrec.settings.params import read_params, row_of
from mmsrec.sources.trailer_ids import read_trailer_ids


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    domain = params.domain_of(flags.domain)
    vision = row_of(params.domains, domain, "domains, catalogues").vision
    if vision is None or vision.kind != "trailer":
        raise ParamsError(
            "The domain has no trailers to crawl.",
            where=f"domains.{domain}.vision",
            expected="kind: trailer",
            found=vision,
        )
    items = read_table(flags.items or stage.items_file(params, flags.domain), SCHEMAS["items"])
    known = read_trailer_ids(flags.raw / vision.trailer_ids)
    trailers = params.crawl_of(flags.domain).trailers
    require_answers(crawl_trailers(items, known, flags.output, trailers, cookies=flags.cookies), flags.output)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` or `catalogues` in the parameter file")
    arguments.add_argument("--items", type=Path, help="items to crawl (default: those of the collection)")
    arguments.path("--raw", layout.RAW, "folder that the path of the trailer ids starts from")
    arguments.add_argument("--cookies", type=Path, help="cookies.txt of a signed-in session")
    arguments.path(
        "--output", layout.MEDIA.replace("{collection}", "{domain}"), "folder of ledger.parquet and the videos"
    )
    stage.run(main, arguments)
