"""Joins the vision and text features of a corpus of clips to a folder of pairs."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.features.encoders import pairs_digest
from mmsrec.pairs.join import pair_features
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    corpus = stage.corpus(params, flags.corpus, ClipCorpus)
    digest = pairs_digest(row_of(params.encoders, flags.encoder, "encoders"), Path(layout.RAW))
    pair_features(flags.captions, flags.vision, flags.text, flags.output, digest=digest, missing=corpus.missing)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind clips")
    arguments.add_argument("--encoder", required=True, help="row of `encoders` that made the features")
    arguments.path("--captions", layout.CAPTIONS, "captions of the corpus")
    arguments.path(
        "--vision",
        layout.FEATURES.format(collection="{corpus}", encoder="{encoder}", modality="vision"),
        "feature file of the clips",
    )
    arguments.path(
        "--text",
        layout.FEATURES.format(collection="{corpus}", encoder="{encoder}", modality="text"),
        "feature file of the captions",
    )
    arguments.path("--output", layout.PAIRS, "folder of the pairs")
    stage.run(main, arguments)
