"""Collects the videos of a corpus of clips from a folder, an archive or the web, and writes their ledger."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.crawl.clips import collect_clips
from mmsrec.crawl.crawl_run import require_answers
from mmsrec.crawl.images import CONNECTIONS
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    corpus = stage.corpus(params, flags.corpus, ClipCorpus)
    items = read_table(flags.items, SCHEMAS["items"])
    policy = params.crawl_of(flags.corpus)
    counts = collect_clips(items, flags.output, corpus, policy, flags.raw, connections=flags.connections)
    require_answers(counts, flags.output)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind clips")
    arguments.path("--items", layout.CLIP_ITEMS, "items of the corpus")
    arguments.path("--raw", layout.RAW, "folder that the videos' paths start from")
    arguments.add_argument(
        "--connections", type=stage.connections, default=CONNECTIONS, help="requests at a time, over all hosts"
    )
    arguments.path(
        "--output", layout.MEDIA.replace("{collection}", "{corpus}"), "folder of ledger.parquet and the videos"
    )
    stage.run(main, arguments)
