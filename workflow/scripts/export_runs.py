"""Writes the numbers of a report's finished experiments into one CSV file; an unfinished report has fewer rows."""

from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.files import write_text
from mmsrec.report.runs import runs_frame
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    runs = runs_frame(stage.report_inputs(params, flags.report, Path(), partial=True, runs=flags.runs))
    write_text(flags.output, runs.write_csv())
    print(f"{flags.output}: {len(runs)} rows")


if __name__ == "__main__":
    arguments = stage.parser(__doc__)
    arguments.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    stage.add_runs(arguments)
    arguments.add_argument("--output", type=Path, required=True, help="CSV file to write")
    stage.run(main, arguments)
