"""Joins the vision and text features of a domain's items to a folder of pairs."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.features.encoders import pairs_digest
from mmsrec.pairs.join import pair_items
from mmsrec.settings.corpora import DomainCorpus
from mmsrec.settings.params import read_params, row_of
from mmsrec.settings.plan import PairFolder, paired_features


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    corpus = stage.corpus(params, flags.corpus, DomainCorpus)
    row = row_of(params.encoders, flags.encoder, "encoders")
    files = paired_features(params, PairFolder(flags.corpus, flags.encoder))
    vision, text = (Path(layout.path(layout.FEATURES, file)) for file in files)
    items = stage.items_file(params, corpus.domain)
    digest = pairs_digest(row, Path(layout.RAW))
    pair_items(items, vision, text, flags.output, digest=digest, missing=corpus.missing)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind domain")
    arguments.add_argument("--encoder", required=True, help="row of `encoders` that made the features")
    arguments.path("--output", layout.PAIRS, "folder of the pairs")
    stage.run(main, arguments)
