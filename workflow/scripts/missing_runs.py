"""Prints the targets of a report's unfinished experiments, for Snakemake; those in the file of --runs are finished."""

from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.report.runs import unfinished
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    for experiment in unfinished(stage.report_inputs(params, flags.report, Path(), partial=True, runs=flags.runs)):
        print(layout.path(layout.METRICS, experiment))


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    stage.add_runs(arguments)
    stage.run(main, arguments)
