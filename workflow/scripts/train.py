"""Trains the model of one experiment, and resumes a killed training.

With --processes, several of them share each step.
"""

from argparse import Namespace
from pathlib import Path

import stage
from stage import computing, layout

from mmsrec.settings.plan import parts_of
from mmsrec.training.distributed import processes
from mmsrec.training.profile import profile_steps
from mmsrec.training.train import train, untrained


def main(flags: Namespace) -> None:
    if computing.shared(flags):
        return
    with processes(computing.device(flags)) as group:
        params, experiment, dataset = stage.experiment(flags, group.device)
        chosen = params.settings_of(flags.domain, flags.variant)
        name = params.variants[flags.variant].pretrained
        pretrained = flags.pretrained / name if name else None
        start_folder = stage.start_folder(params, experiment, flags.start)
        if flags.profile:
            model, *_ = untrained(flags.seed, chosen, dataset, pretrained, start_folder)
            text = profile_steps(model, dataset.sequences, chosen.trainer, flags.seed, flags.profile, group)
            if group.leads:
                print(text)
            return
        train(
            experiment,
            chosen,
            dataset,
            flags.output,
            pretrained,
            group,
            start=start_folder,
            parts=[Path(layout.path(layout.MODEL, part)) for part in parts_of(params, experiment)],
            save_minutes=flags.checkpoint_minutes,
        )


if __name__ == "__main__":
    parser = stage.experiment_parser(__doc__)
    computing.add_processes(parser, stage.natural)
    parser.path("--output", layout.MODEL, "folder for the trained model")
    parser.path("--pretrained", layout.PRETRAININGS, "folder of the pre-trained item encoders")
    parser.add_argument(
        "--start", type=Path, help="folder of the trained model to start from (default: that of the key starts_from)"
    )
    parser.add_argument(
        "--checkpoint-minutes", type=stage.minutes, default=10, help="minutes between checkpoints within an epoch"
    )
    parser.add_argument(
        "--profile", type=stage.positive, metavar="STEPS", help="print a profile of this many steps, and write no model"
    )
    stage.run(main, parser)
