"""Writes the rows of dvc.yaml: names that DVC's templates cannot work out from params.yaml by themselves."""

import re
from argparse import Namespace
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import stage
from ruamel.yaml import YAML

from mmsrec.files import write_text
from mmsrec.settings.experiments import Domain, Modality
from mmsrec.settings.params import Params, read_params
from mmsrec.settings.plan import (
    Experiment,
    FeatureFile,
    all_cores,
    all_experiments,
    all_features,
    all_pairs,
    all_retrievals,
    clip_corpora,
    cores_of,
    experiments_of,
    features_of,
    pairs_of,
    picture_domains,
    retrievals_of,
    shard_corpora,
    trailer_domains,
)
from mmsrec.sources.registry import SourceFile, read_registry

# Keys of a row that a stage reads, some of which it may leave out.
SHARDS = ["files", "repository", "revision"]
CLIPS = ["captions", "split", "videos"]
VIDEOS = ["videos", "crawl", "max_bytes"]
JOIN = ["missing"]
CRAWL = ["vision", "crawl"]
HEADER = "# Made by `make plan` from params.yaml and workflow/sources.csv; not edited by hand.\n"


def plan(params: Params, raw: dict[str, Any], registry: dict[str, SourceFile]) -> dict[str, dict[str, Any]]:
    """The rows of each group of stages, by the name that follows a stage's @.

    They name what a stage reads and hold no value of params.yaml, `raw`: an edit of a value needs no new plan.
    """
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
        "image_crawls": {domain: _crawl(params, raw, domain) for domain in pictures},
        "trailer_crawls": {domain: _crawl(params, raw, domain) for domain in trailers},
        "shard_corpora": {corpus: {"keys": _keys(raw, "corpora", corpus, SHARDS)} for corpus in shard_corpora(params)},
        "clip_corpora": {corpus: _clips(params, raw, corpus) for corpus in clips},
        "videos": [*trailers, *clips],
        "text_features": _features(params, [row for row in features if row.modality == "text"]),
        "picture_features": _features(params, [row for row in features if _is_vision_of(row, pictures)]),
        "frame_features": _features(params, [row for row in features if _is_vision_of(row, [*trailers, *clips])]),
        "shard_pairs": {row.name: vars(row) for row in pairs if row.corpus not in clips},
        "clip_pairs": {
            row.name: {**vars(row), "keys": _keys(raw, "corpora", row.corpus, JOIN)}
            for row in pairs
            if row.corpus in clips
        },
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


def _keys(raw: dict[str, Any], table: str, name: str, keys: list[str]) -> list[str]:
    """The keys that a row has, by their paths; those that it leaves out are the default, which no edit changes."""
    row = raw[table][name]
    always = next(key for key in ("kind", "source") if key in row)
    return _filled([f"{table}.{name}.{key}" for key in keys if key in row], f"{table}.{name}.{always}", len(keys))


def _crawl(params: Params, raw: dict[str, Any], domain: str) -> dict[str, Any]:
    row = params.domains[domain]
    return {
        "k_core": row.k_core,
        "trailer_ids": row.vision.trailer_ids,
        "keys": _keys(raw, "domains", domain, CRAWL),
    }


def _clips(params: Params, raw: dict[str, Any], corpus: str) -> dict[str, Any]:
    row = params.corpora[corpus]
    items = f"data/corpora/{corpus}/items.parquet"
    tables = [f"data/raw/{file}" for file in row.tables]
    return {
        "keys": _keys(raw, "corpora", corpus, CLIPS),
        "tables": _filled(tables, tables[0], 3),
        "archive": f"data/raw/{row.archive}" if row.archive else items,
        "videos": _keys(raw, "corpora", corpus, VIDEOS),
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
    # Otherwise ruamel writes what stands twice as an alias, which is harder to read.
    yaml.representer.ignore_aliases = lambda *_: True
    params, raw = read_params(flags.params), yaml.load(flags.params.read_text(encoding="utf-8"))
    rows = StringIO()
    yaml.dump({"plan": plan(params, raw, read_registry(flags.registry))}, rows)
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
