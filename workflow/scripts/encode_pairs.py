"""Encodes the captions of shards of clips, and writes shards of pairs of frame and caption features.

Without --shard, a run writes every missing shard and finalises the folder. With --shard, it writes only that shard, so
that each shard can be a separate job. A last run without --shard then finalises the folder.
"""

from argparse import Namespace

import stage
from stage import computing, layout

from mmsrec.pairs.encode import encode_pairs
from mmsrec.settings.corpora import ShardCorpus
from mmsrec.settings.params import read_params, row_of


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    computing.take_gpu()
    corpus = stage.corpus(params, flags.corpus, ShardCorpus)
    row = row_of(params.encoders, flags.encoder, "encoders")
    encode_pairs(corpus, flags.raw, flags.encoder, row, flags.output, shard=flags.shard)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--corpus", required=True, help="row of `corpora` in the parameter file, of kind shards")
    arguments.add_argument("--encoder", required=True, help="row of `encoders` in the parameter file")
    arguments.path("--raw", layout.SHARDS, "folder of the corpus, with its shards.json")
    arguments.add_argument("--shard", type=stage.natural, help="number of one shard, from 0")
    arguments.path("--output", layout.PAIRS, "folder of the pairs")
    stage.run(main, arguments)
