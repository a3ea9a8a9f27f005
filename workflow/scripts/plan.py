"""Writes the rows of dvc.yaml: names that DVC's templates cannot work out from params.yaml by themselves."""

import re
from argparse import Namespace
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import stage
from ruamel.yaml import YAML

from mmsrec.experiment_rows import Domain, Modality
from mmsrec.experiments import (
    Experiment,
    FeatureFile,
    all_cores,
    all_experiments,
    all_features,
    cores_of,
    crawl_settings,
    experiments_of,
    features_of,
    picture_domains,
    trailer_domains,
)
from mmsrec.files import write_text
from mmsrec.params import Params, read_params
from mmsrec.sources.registry import SourceFile, read_registry

HEADER = "# Made by `make plan` from params.yaml and workflow/sources.csv; not edited by hand.\n"


def plan(params: Params, registry: dict[str, SourceFile]) -> dict[str, dict[str, Any]]:
    """The rows of each group of stages, by the name that follows a stage's @."""
    files = {file for domain in params.domains.values() for file in _raw_files(domain)}
    features = all_features(params)
    pictures, trailers = picture_domains(params), trailer_domains(params)
    return {
        "downloads": {
            re.sub(r"[^\w-]", "-", file): {"file": file, "sha256": source.sha256}
            for file, source in registry.items()
            if file in files
        },
        "cores": {row.name: vars(row) for row in all_cores(params)},
        "image_crawls": {domain: _crawl(params, domain) for domain in pictures},
        "trailer_crawls": {domain: _crawl(params, domain) for domain in trailers},
        "text_features": _features(params, [row for row in features if row.modality == "text"]),
        "picture_features": _features(params, [row for row in features if _is_vision_of(row, pictures)]),
        "frame_features": _features(params, [row for row in features if _is_vision_of(row, trailers)]),
        "experiments": {
            row.name: {**vars(row), "features": _feature_paths(params, row)} for row in all_experiments(params)
        },
        "report_cores": _by_report(params, cores_of),
        "report_experiments": _by_report(params, experiments_of),
    }


def _raw_files(domain: Domain) -> list[str]:
    trailer_ids = domain.vision.trailer_ids if domain.vision else None
    return [file for file in (domain.interactions, domain.items, trailer_ids) if file]


def _crawl(params: Params, domain: str) -> dict[str, Any]:
    row = params.domains[domain]
    return {
        "k_core": row.k_core,
        "trailer_ids": row.vision.trailer_ids,
        "settings": crawl_settings(params, domain),
    }


def _is_vision_of(row: FeatureFile, domains: list[str]) -> bool:
    return row.modality == "vision" and row.domain in domains


def _features(params: Params, rows: list[FeatureFile]) -> dict[str, Any]:
    return {row.name: {**vars(row), "k_core": params.domains[row.domain].k_core} for row in rows}


def _feature_paths(params: Params, row: Experiment) -> list[str]:
    """The feature files that an experiment reads, one a modality; the items stand for those that it does not."""
    paths = [f"data/features/{file.domain}/{file.encoder}/{file.modality}.parquet" for file in features_of(params, row)]
    items = f"data/processed/{row.domain}/k{row.k_core}/items.parquet"
    return paths + [items] * (len(get_args(Modality)) - len(paths))


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
