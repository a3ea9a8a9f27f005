"""Makes a report's tables, figures and page from measured results.

With --partial, the finished results are read where their stages wrote them. A missing number then has its reason.
The numbers that DVC shows as metrics and plots are written, too: with --partial or --output into the report's folder.
"""

import logging
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

from mmsrec.report.numbers import write_numbers
from mmsrec.report.page import write_report
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    # At the level INFO, matplotlib logs the state of its font cache.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    folder = Path() if flags.partial else flags.collected
    params = read_params(flags.params)
    inputs = stage.report_inputs(params, flags.report, folder, partial=flags.partial, runs=flags.runs)
    pattern = layout.PARTIAL_REPORT if flags.partial else layout.REPORT
    output = flags.output or Path(layout.path(pattern, report=flags.report))
    write_report(inputs, output)
    write_numbers(inputs, lambda kind: numbers_folder(kind, output, flags))
    print(output / "report.html")


def numbers_folder(kind: str, output: Path, flags: Namespace) -> Path:
    """The layout's folder for a full report; a folder below the report for any other."""
    if flags.partial or flags.output:
        return output / kind
    return Path(layout.path(layout.NUMBERS[kind], report=flags.report))


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    parser.path("--collected", layout.COLLECTED, "folder of the collected files")
    stage.add_runs(parser)
    parser.add_argument("--partial", action="store_true", help="report the finished experiments, and not the others")
    where = f"default: {layout.REPORT}, or {layout.PARTIAL_REPORT}"
    parser.add_argument("--output", type=Path, help=f"folder for the report ({where})")
    stage.run(main, parser)
