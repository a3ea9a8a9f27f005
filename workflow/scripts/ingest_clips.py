"""Turns the raw files of a corpus of captioned clips into items.parquet and captions.parquet."""

from argparse import Namespace

import stage
from stage import layout

from mmsrec.settings.corpora import ClipCorpus
from mmsrec.settings.params import read_params
from mmsrec.sources.captions import ingest_clips


def main(flags: Namespace) -> None:
    corpus = stage.corpus(read_params(flags.params), flags.corpus, ClipCorpus)
    ingest_clips(corpus, flags.raw, flags.output)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind clips")
    arguments.path("--raw", layout.RAW, "folder that the corpus' paths start from")
    arguments.path("--output", layout.CLIPS, "folder of the two tables")
    stage.run(main, arguments)
