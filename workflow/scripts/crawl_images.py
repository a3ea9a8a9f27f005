"""Crawls and verifies the pictures of a domain's items, and writes a ledger with the state of every item."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.crawl.crawl_run import require_answers
from mmsrec.crawl.images import CONNECTIONS, collect_images, crawl_images, is_web, media_urls
from mmsrec.errors import ParamsError
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    domain = params.domain_of(flags.domain)
    vision = row_of(params.domains, domain, "domains, catalogues").vision
    if vision is None or vision.kind == "trailer":
        raise ParamsError(
            "The domain has no pictures to crawl.",
            where=f"domains.{domain}.vision",
            expected="kind: image or poster",
            found=vision,
        )
    policy = params.crawl_of(flags.domain)
    items = media_urls(read_table(flags.items or stage.items_file(params, flags.domain), SCHEMAS["items"]), vision)
    if is_web(vision):
        require_answers(crawl_images(items, flags.output, policy, connections=flags.connections), flags.output)
    else:
        collect_images(items, flags.output, policy, flags.raw)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--domain", required=True, help="row of `domains` or `catalogues` in the parameter file")
    arguments.add_argument("--items", type=Path, help="items to crawl (default: those of the collection)")
    arguments.path("--raw", layout.RAW, "folder that a poster's path starts from")
    arguments.add_argument(
        "--connections", type=stage.connections, default=CONNECTIONS, help="requests at a time, over all hosts"
    )
    arguments.path(
        "--output", layout.MEDIA.replace("{collection}", "{domain}"), "folder of ledger.parquet and the pictures"
    )
    stage.run(main, arguments)
