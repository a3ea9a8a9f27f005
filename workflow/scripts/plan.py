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
    all_pairs,
    all_retrievals,
    clip_corpora,
    clip_settings,
    cores_of,
    crawl_settings,
    experiments_of,
    features_of,
    pairs_of,
    picture_domains,
    pretraining_run,
    retrievals_of,
    shard_corpora,
    trailer_domains,
)
from mmsrec.files import write_text
from mmsrec.params import Params, read_params
from mmsrec.sources.registry import SourceFile, read_registry

# Keys of a corpus that its stages read.
SHARDS = {"repository", "revision", "files"}
FRAMES = {"frames", "count", "keep"}
CLIPS = {"captions", "split", "videos"}
JOIN = {"missing"}
HEADER = "# Made by `make plan` from params.yaml and workflow/sources.csv; not edited by hand.\n"


def plan(params: Params, registry: dict[str, SourceFile]) -> dict[str, dict[str, Any]]:
    """The rows of each group of stages, by the name that follows a stage's @."""
    corpora = [file for corpus in params.corpora.values() for file in corpus.raw_files]
    files = {file for domain in params.domains.values() for file in _raw_files(domain)} | set(corpora)
    features = all_features(params)
    pictures, trailers, clips = picture_domains(params), trailer_domains(params), clip_corpora(params)
    pairs = all_pairs(params)
    return {
        "downloads": {
            re.sub(r"[^\w-]", "-", file): {"file": file, "sha256": source.sha256}
            for file, source in registry.items()
            if file in files
        },
        "cores": {row.name: vars(row) for row in all_cores(params)},
        "image_crawls": {domain: _crawl(params, domain) for domain in pictures},
        "trailer_crawls": {domain: _crawl(params, domain) for domain in trailers},
        "shard_corpora": {corpus: _settings(params, corpus, SHARDS) for corpus in shard_corpora(params)},
        "clip_corpora": {corpus: _clips(params, corpus) for corpus in clips},
        "videos": [*trailers, *clips],
        "text_features": _features(params, [row for row in features if row.modality == "text"]),
        "picture_features": _features(params, [row for row in features if _is_vision_of(row, pictures)]),
        "frame_features": _features(params, [row for row in features if _is_vision_of(row, [*trailers, *clips])]),
        "shard_pairs": {
            row.name: {**vars(row), **_settings(params, row.corpus, FRAMES)} for row in pairs if row.corpus not in clips
        },
        "clip_pairs": {
            row.name: {**vars(row), **_settings(params, row.corpus, JOIN)} for row in pairs if row.corpus in clips
        },
        "pretrainings": {name: {"settings": pretraining_run(params, name)} for name in params.pretrainings},
        "retrievals": {
            row.name: {**vars(row), "encoder": pairs_of(params, row).encoder} for row in all_retrievals(params)
        },
        "experiments": {row.name: {**vars(row), "reads": _reads(params, row)} for row in all_experiments(params)},
        "report_cores": _by_report(params, cores_of),
        "report_experiments": _by_report(params, experiments_of),
        "report_retrievals": _by_report(params, retrievals_of),
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


def _settings(params: Params, corpus: str, names: set[str]) -> dict[str, Any]:
    return {"settings": params.corpora[corpus].model_dump(mode="json", include=names)}


def _clips(params: Params, corpus: str) -> dict[str, Any]:
    row = params.corpora[corpus]
    items = f"data/corpora/{corpus}/items.parquet"
    tables = [f"data/raw/{file}" for file in row.tables]
    return {
        **_settings(params, corpus, CLIPS),
        "tables": _filled(tables, tables[0], 3),
        "archive": f"data/raw/{row.archive}" if row.archive else items,
        "videos": clip_settings(params, corpus),
    }


def _is_vision_of(row: FeatureFile, domains: list[str]) -> bool:
    return row.modality == "vision" and row.domain in domains


def _features(params: Params, rows: list[FeatureFile]) -> dict[str, Any]:
    return {row.name: {**vars(row), "items": _items(params, row)} for row in rows}


def _items(params: Params, row: FeatureFile) -> str:
    """The table of what is encoded."""
    if row.domain in params.corpora:
        return f"data/corpora/{row.domain}/{'captions' if row.modality == 'text' else 'items'}.parquet"
    return f"data/processed/{row.domain}/k{params.domains[row.domain].k_core}/items.parquet"


def _reads(params: Params, row: Experiment) -> list[str]:
    """The features, one a modality, and the pre-trained weights that an experiment reads."""
    features = [
        f"data/features/{file.domain}/{file.encoder}/{file.modality}.parquet" for file in features_of(params, row)
    ]
    pretrained = params.variants[row.variant].pretrained
    weights = [f"models/pretrain/{pretrained}/weights.safetensors"] if pretrained else []
    items = f"data/processed/{row.domain}/k{row.k_core}/items.parquet"
    return _filled(features, items, len(get_args(Modality))) + _filled(weights, items, 1)


def _filled(paths: list[str], other: str, count: int) -> list[str]:
    """So many paths: a stage of DVC has a fixed number of dependencies, of which some may be the same."""
    return paths + [other] * (count - len(paths))


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
