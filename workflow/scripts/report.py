"""Makes a report's tables, figures and page from measured results."""

import logging
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stage
from stage import layout

from mmsrec.report.inputs import Inputs
from mmsrec.report.page import write_report
from mmsrec.settings.params import read_params


def main(flags: Namespace) -> None:
    # At the level INFO, matplotlib logs the state of its font cache.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)

    def collected(pattern: str) -> Callable[[Any], Path]:
        return lambda row: flags.collected / layout.path(pattern, row)

    inputs = Inputs(
        read_params(flags.params),
        flags.report,
        statistics_path=collected(layout.STATISTICS),
        metrics_path=collected(layout.METRICS),
        history_path=collected(layout.HISTORY),
        ranks_path=collected(layout.RANKS),
        retrieval_path=collected(layout.RETRIEVAL_METRICS),
    )
    write_report(inputs, flags.output)
    print(flags.output / "report.html")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    parser.path("--collected", layout.COLLECTED, "folder of the collected files")
    parser.path("--output", layout.REPORT, "folder for the report")
    stage.run(main, parser)
