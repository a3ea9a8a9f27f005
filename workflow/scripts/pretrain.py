"""Pre-trains the item encoder of one row of `pretrainings`, and resumes a killed run.

With --processes, several of them share each batch.
"""

from argparse import Namespace
from pathlib import Path

import stage
from stage import computing, layout

from mmsrec.features.encoders import pairs_digest
from mmsrec.pairs.read import Pairs
from mmsrec.settings.params import read_params, row_of
from mmsrec.settings.pretraining import pretraining_settings
from mmsrec.training.distributed import processes
from mmsrec.training.pretrain import pretrain
from mmsrec.training.tensorboard import writer


def main(flags: Namespace) -> None:
    if computing.shared(flags):
        return
    params = read_params(flags.params)
    row = row_of(params.pretrainings, flags.pretraining, "pretrainings")
    folder = flags.pairs or Path(layout.path(layout.PAIRS, row))
    pairs = Pairs(folder, pairs_digest(params.encoders[row.encoder], Path(layout.RAW)))
    observe = writer(flags.tensorboard) if flags.tensorboard else None
    with processes(computing.device(flags)) as group:
        pretrain(
            flags.pretraining,
            row,
            pretraining_settings(params.pretraining, row),
            pairs,
            flags.output,
            group,
            save_minutes=flags.checkpoint_minutes,
            observe=observe,
        )


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--pretraining", required=True, help="row of `pretrainings` in the parameter file")
    arguments.add_argument("--pairs", type=Path, help=f"folder of pairs (default: {layout.PAIRS} of the row)")
    arguments.path("--output", layout.PRETRAINED, "folder for the pre-trained item encoder")
    computing.add_device(arguments)
    computing.add_processes(arguments, stage.natural)
    arguments.add_argument(
        "--checkpoint-minutes", type=stage.minutes, default=10, help="minutes between checkpoints within an epoch"
    )
    arguments.add_argument(
        "--tensorboard", type=Path, help="folder for TensorBoard's event files (default: no event files)"
    )
    stage.run(main, arguments)
