"""Downloads the shards of a dataset on the hub at a pinned commit, and writes their list shards.json.

The environment variables HF_ENDPOINT and HF_TOKEN are read by huggingface_hub. MMSREC_MIRROR names folders that are
tried first, separated by commas. A folder that contains hub/OWNER/NAME replaces the hub.
"""

import os
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.settings.corpora import ShardCorpus
from mmsrec.settings.params import read_params
from mmsrec.sources.hub import CONNECTIONS, download_shards
from mmsrec.sources.listing import Selection


def main(flags: Namespace) -> None:
    corpus = stage.corpus(read_params(flags.params), flags.corpus, ShardCorpus)
    places = [place.strip() for place in os.environ.get("MMSREC_MIRROR", "").split(",")]
    selection = Selection(corpus.repository, corpus.revision, corpus.files)
    mirrors = [Path(place) for place in places if place and "://" not in place]
    download_shards(selection, flags.output, mirrors, connections=flags.connections)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind shards")
    arguments.add_argument("--connections", type=stage.connections, default=CONNECTIONS, help="files at a time")
    arguments.path("--output", layout.SHARDS, "folder of the corpus, with its shards.json")
    stage.run(main, arguments)
