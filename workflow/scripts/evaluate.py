"""Ranks every user's test item with a trained model, and computes the metrics."""

from argparse import Namespace

import stage
from stage import computing, layout

from mmsrec.evaluation.evaluate import evaluate
from mmsrec.training.model_folder import load


def main(flags: Namespace) -> None:
    params, experiment, dataset = stage.experiment(flags, computing.device(flags))
    model = load(flags.model, dataset)
    evaluate(
        model,
        dataset,
        params.evaluation,
        experiment=experiment,
        ties=params.splits[flags.split].ties,
        output=flags.output,
    )


if __name__ == "__main__":
    parser = stage.experiment_parser(__doc__)
    parser.path("--model", layout.MODEL, "folder of the trained model")
    parser.path("--output", layout.RESULT, "folder for ranks.parquet and metrics.json")
    stage.run(main, parser)
