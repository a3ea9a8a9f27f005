"""Makes a report's tables, figures and page from measured results."""

import logging
from argparse import Namespace
from pathlib import Path

import stage

from mmsrec.report.inputs import Inputs
from mmsrec.report.page import write_report
from mmsrec.settings.params import read_params
from mmsrec.settings.plan import Core, Experiment


def main(flags: Namespace) -> None:
    # matplotlib tells at this level of its font cache.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    inputs = Inputs(
        read_params(flags.params),
        flags.report,
        statistics_path=lambda core: _core_folder(flags.data, core) / "statistics.json",
        metrics_path=lambda experiment: _experiment_folder(flags.results, experiment) / "metrics.json",
        history_path=lambda experiment: _experiment_folder(flags.models, experiment) / "history.parquet",
        ranks_path=lambda experiment: _experiment_folder(flags.results, experiment) / "ranks.parquet",
        retrieval_path=lambda row: flags.results / "retrieval" / row.pretraining / row.corpus / "metrics.json",
    )
    write_report(inputs, flags.output)
    print(flags.output / "report.html")


def _core_folder(root: Path, core: Core) -> Path:
    return root / core.domain / f"k{core.k_core}"


def _experiment_folder(root: Path, experiment: Experiment) -> Path:
    return _core_folder(root, experiment.core) / experiment.variant / f"seed{experiment.seed}"


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--report", required=True, help="row of `reports` in the parameter file")
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared domains")
    parser.add_argument("--models", type=Path, required=True, help="folder of the trained models")
    parser.add_argument("--results", type=Path, required=True, help="folder of the measured metrics")
    parser.add_argument("--output", type=Path, required=True, help="folder for the report")
    stage.run(main, parser)
