"""Measures zero-shot retrieval on a test corpus.

The models are a pre-trained item encoder, the same encoder before training, and the frozen encoder of its features.
"""

from argparse import Namespace
from pathlib import Path

import stage
from stage import computing, layout

from mmsrec.evaluation.zero_shot import evaluate_retrieval
from mmsrec.pairs.read import Pairs
from mmsrec.training.encoder_folder import load_pretrained, load_untrained, read_pretrained_config


def main(flags: Namespace) -> None:
    device = computing.device(flags)
    config = read_pretrained_config(flags.model)
    folder = flags.pairs or Path(layout.path(layout.PAIRS, corpus=flags.corpus, encoder=config.encoder))
    pairs = Pairs(folder, config.encoder_digest)
    evaluate_retrieval(
        pairs,
        {
            "pretrained": load_pretrained(flags.model).to(device),
            "untrained": load_untrained(flags.model).to(device),
        },
        {"pretraining": config.name, "encoder": config.encoder, "corpus": flags.corpus},
        flags.output,
    )


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--pretraining", required=True, help="row of `pretrainings` in the parameter file")
    arguments.add_argument("--corpus", required=True, help="name of the test corpus, written into metrics.json")
    arguments.add_argument(
        "--pairs", type=Path, help=f"folder of pairs (default: {layout.PAIRS}, encoder of the model)"
    )
    arguments.path("--model", layout.PRETRAINED, "folder of the pre-trained item encoder")
    arguments.path("--output", layout.RETRIEVAL, "folder for metrics.json and ranks.parquet")
    computing.add_device(arguments)
    stage.run(main, arguments)
