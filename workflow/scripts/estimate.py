"""Prints what a report will cost before it runs: jobs, hours, disk and downloads of each stage, by measured rates.

The sizes are those of the prepared data, and of workflow/sizes.csv where these are not there yet. docs/scaling.md says
how the hours are reckoned.
"""

import os
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.costs.estimate import make_plan, text_of
from mmsrec.costs.jobs import ANY_EPOCHS, Job, jobs_of
from mmsrec.costs.rates import read_rates
from mmsrec.costs.sizes import Sizes
from mmsrec.settings.params import read_params


def is_left(job: Job) -> bool:
    """Whether the output of a job is missing."""
    return not Path(layout.path(layout.MADE[job.stage], **job.fields)).exists()


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    sizes = Sizes(
        flags.sizes,
        params,
        lambda core: Path(layout.path(layout.STATISTICS, core)),
        lambda file: Path(layout.path(layout.RAW_FILE, file=file)),
    )
    jobs = jobs_of(params, flags.report, sizes, flags.epochs)
    chosen = [job for job in jobs if is_left(job)] if flags.left else jobs
    plan = make_plan(flags.report, chosen, read_rates(flags.rates), list(layout.MADE), warm=flags.warm)
    print(text_of(plan, flags.cores, flags.gpus), end="")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    parser.add_argument("--left", action="store_true", help="only the jobs whose output is missing")
    parser.add_argument("--cores", type=stage.positive, default=os.cpu_count(), help="default: this machine's")
    parser.add_argument("--gpus", type=stage.positive, default=8, help="number of H200s of the largest machine")
    epochs = "a training has no more epochs than this, because it stops early (default: its own max_epochs)"
    parser.add_argument("--epochs", type=stage.positive, default=ANY_EPOCHS, help=epochs)
    parser.add_argument("--warm", action="store_true", help="jobs start in forks of warm_stages.py, as in `make demo`")
    parser.add_argument("--rates", type=Path, default=layout.RATES, help="table of rates")
    parser.add_argument("--sizes", type=Path, default=layout.SIZES, help="table of sizes")
    stage.run(main, parser)
