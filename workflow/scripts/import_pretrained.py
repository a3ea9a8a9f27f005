"""Imports the checkpoint of the authors' released code as the item encoder of one row of `pretrainings`.

The row's settings must be those of the released item encoder. The authors' file is fusion_model.pth.
"""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.features.encoders import pairs_digest
from mmsrec.settings.params import read_params, row_of
from mmsrec.settings.pretraining import pretraining_settings
from mmsrec.training.import_authors import import_authors


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    row = row_of(params.pretrainings, flags.pretraining, "pretrainings")
    settings = pretraining_settings(params.pretraining, row)
    digest = pairs_digest(params.encoders[row.encoder], Path(layout.RAW))
    import_authors(flags.file, flags.output, flags.pretraining, row, settings, digest)


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--pretraining", required=True, help="row of `pretrainings` in the parameter file")
    arguments.add_argument("--file", type=Path, required=True, help="the authors' checkpoint")
    arguments.path("--output", layout.PRETRAINED, "folder for the pre-trained item encoder")
    stage.run(main, arguments)
