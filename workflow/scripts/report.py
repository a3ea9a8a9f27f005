"""Makes a report's tables, figures and page from measured results.

With --partial, the finished results are read where their stages wrote them. A missing number then has its reason.
"""

import logging
from argparse import Namespace
from pathlib import Path

import stage
from stage import layout

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
    print(output / "report.html")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    parser.path("--collected", layout.COLLECTED, "folder of the collected files")
    stage.add_runs(parser)
    parser.add_argument("--partial", action="store_true", help="report the finished experiments, and not the others")
    where = f"default: {layout.REPORT}, or {layout.PARTIAL_REPORT}"
    parser.add_argument("--output", type=Path, help=f"folder for the report ({where})")
    stage.run(main, parser)
