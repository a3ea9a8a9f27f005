"""Trains the model of one experiment (domain, k-core, variant, seed); continues where a killed training stopped.

Under torchrun, its processes share each step.
"""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.training.distributed import processes
from mmsrec.training.profile import profile_steps
from mmsrec.training.runtime import start
from mmsrec.training.train import train, untrained


def main(flags: Namespace) -> None:
    with processes(start(flags.device)) as group:
        params, experiment, dataset = stage.experiment(flags, group.device)
        variant = params.variants[flags.variant]
        settings = params.training_of(flags.domain, flags.variant)
        pretrained = flags.pretrained / variant.pretrained if variant.pretrained else None
        if flags.profile:
            model, _ = untrained(flags.seed, variant.model, settings, settings, dataset, pretrained)
            text = profile_steps(model, dataset.sequences, settings, flags.seed, flags.profile, group)
            if group.leads:
                print(text)
            return
        train(
            experiment,
            variant.model,
            settings,
            settings,
            dataset,
            flags.output,
            pretrained,
            group,
            save_minutes=flags.checkpoint_minutes,
        )


if __name__ == "__main__":
    parser = stage.experiment_parser(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the trained model")
    parser.add_argument("--pretrained", type=Path, required=True, help="folder of the pre-trained item encoders")
    parser.add_argument("--checkpoint-minutes", type=float, default=10, help="between checkpoints within an epoch")
    parser.add_argument(
        "--profile", type=stage.positive, metavar="STEPS", help="print where the time of a step goes, and train nothing"
    )
    stage.run(main, parser)
