"""Ranks every user's test item with a trained model, and computes the metrics."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.evaluation.evaluate import evaluate
from mmsrec.training.model_folder import load
from mmsrec.training.runtime import start


def main(flags: Namespace) -> None:
    params, experiment, dataset = stage.experiment(flags, start(flags.device))
    model = load(flags.model, dataset)
    evaluate(
        model,
        dataset,
        params.evaluation,
        experiment=experiment,
        ties=params.domains[flags.domain].ties,
        output=flags.output,
    )


if __name__ == "__main__":
    parser = stage.experiment_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the trained model")
    parser.add_argument("--output", type=Path, required=True, help="folder for ranks.parquet and metrics.json")
    stage.run(main, parser)
