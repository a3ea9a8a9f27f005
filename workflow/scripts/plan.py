"""Writes the rows of dvc.yaml: names that DVC's templates cannot work out from params.yaml by themselves."""

import re
from argparse import Namespace
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import stage
from ruamel.yaml import YAML

from mmsrec.experiments import all_cores, all_experiments, all_features, cores_of, experiments_of, features_of
from mmsrec.files import write_text
from mmsrec.params import Params, read_params
from mmsrec.sources.registry import SourceFile, read_registry

HEADER = "# Made by `make plan` from params.yaml and workflow/sources.csv; not edited by hand.\n"


def plan(params: Params, registry: dict[str, SourceFile]) -> dict[str, dict[str, Any]]:
    """The rows of each group of stages, by the name that follows a stage's @."""
    files = {file for domain in params.domains.values() for file in (domain.interactions, domain.items)}
    features = {experiment: features_of(params, experiment) for experiment in all_experiments(params)}
    return {
        "downloads": {
            re.sub(r"[^\w-]", "-", file): {"file": file, "sha256": source.sha256}
            for file, source in registry.items()
            if file in files
        },
        "cores": {row.name: vars(row) for row in all_cores(params)},
        "features": {
            row.name: {**vars(row), "k_core": params.domains[row.domain].k_core} for row in all_features(params)
        },
        "item_experiments": {row.name: vars(row) for row, read in features.items() if not read},
        "feature_experiments": {
            row.name: {**vars(row), "features": _file_or_folder(read)} for row, read in features.items() if read
        },
        "report_cores": _by_report(params, cores_of),
        "report_experiments": _by_report(params, experiments_of),
    }


def _file_or_folder(features: list) -> str:
    """What stands for these feature files as one dependency, below the domain's folder."""
    first = features[0]
    return f"{first.encoder}/{first.modality}.parquet" if len(features) == 1 else first.encoder


def _by_report(params: Params, rows_of: Callable[[Params, str], list]) -> dict[str, Any]:
    return {
        f"{report}.{row.name}": {"report": report, **vars(row)}
        for report in params.reports
        for row in rows_of(params, report)
    }


def main(flags: Namespace) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.width = 1000
    yaml.sort_base_mapping_type_on_output = False
    rows = StringIO()
    yaml.dump({"plan": plan(read_params(flags.params), read_registry(flags.registry))}, rows)
    text = HEADER + rows.getvalue()
    if flags.output:
        write_text(flags.output, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--registry", type=Path, default=Path("workflow/sources.csv"), help="table of source files")
    parser.add_argument("--output", type=Path, help="file to write; without it the rows are printed")
    stage.run(main, parser)
