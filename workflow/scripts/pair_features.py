"""Stage pair_features: the vision and text features of a corpus of clips, joined to a folder of pairs."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.features.encoders import encoder_digest
from mmsrec.pairs.join import pair_features
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    corpus = stage.corpus(params, flags.corpus, ClipCorpus)
    digest = encoder_digest(row_of(params.encoders, flags.encoder, "encoders"))
    pair_features(flags.captions, flags.vision, flags.text, flags.output, digest=digest, missing=corpus.missing)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind clips")
    arguments.add_argument("--encoder", required=True, help="row of `encoders` that made the features")
    arguments.add_argument("--captions", type=Path, required=True, help="captions.parquet of the corpus")
    arguments.add_argument("--vision", type=Path, required=True, help="feature file of the clips")
    arguments.add_argument("--text", type=Path, required=True, help="feature file of the captions")
    arguments.add_argument("--output", type=Path, required=True, help="folder of the pairs")
    stage.run(main, arguments)
