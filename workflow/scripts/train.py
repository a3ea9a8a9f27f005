"""Trains the model of one experiment (domain, k-core, variant, seed); continues where a killed training stopped."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.training.run import train
from mmsrec.training.runtime import start


def main(flags: Namespace) -> None:
    params, experiment, catalogue = stage.experiment(flags, start(flags.device))
    variant = params.variants[flags.variant]
    train(
        experiment,
        variant.model,
        params.training_of(flags.domain, flags.variant),
        catalogue,
        flags.output,
        flags.pretrained / variant.pretrained if variant.pretrained else None,
    )


if __name__ == "__main__":
    parser = stage.experiment_parser(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the trained model")
    parser.add_argument("--pretrained", type=Path, required=True, help="folder of the pre-trained item encoders")
    stage.run(main, parser)
