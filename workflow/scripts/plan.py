"""Writes the rows of dvc.yaml, which DVC's templates cannot derive from params.yaml."""

import json
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import stage
from ruamel.yaml import YAML
from stage import layout

from mmsrec.files import write_text
from mmsrec.models.blend_settings import MOST_PARTS
from mmsrec.models.registry import MODELS
from mmsrec.settings.data import MEMBERS
from mmsrec.settings.encoding import TableEncoder, vector_tables
from mmsrec.settings.params import Params, read_params
from mmsrec.settings.plan import (
    Core,
    Experiment,
    FeatureFile,
    PairFolder,
    all_attributes,
    all_cores,
    all_cuts,
    all_experiments,
    all_features,
    all_pairs,
    all_retrievals,
    attributes_of,
    clip_corpora,
    domain_corpora,
    domain_files,
    features_of,
    file_domains,
    paired_features,
    pairs_of,
    picture_collections,
    repeat_domains,
    reported_experiments,
    shard_corpora,
    sources_of,
    table_encoders,
    trailer_collections,
    union_domains,
)
from mmsrec.sources.file_registry import SourceFile, read_registry

HEADER = "# Made by `make plan` from params.yaml and workflow/sources.csv; not edited by hand.\n"
RAW_FILES = 4  # the largest number of raw files of a domain or a corpus


def plan(params: Params, raw: dict[str, Any], registry: dict[str, SourceFile]) -> dict[str, dict[str, Any]]:
    """The rows of each group of stages, by the name that follows a stage's @.

    They name the files and the keys that a stage reads, and no value of params.yaml (`raw`). So an edit of a value
    needs no new plan.
    """
    cores, repeats = all_cores(params), repeat_domains(params)
    features = all_features(params)
    pictures, trailers = picture_collections(params), trailer_collections(params)
    clips = clip_corpora(params)
    given = [row for row in features if row.encoder in table_encoders(params)]
    texts = [row for row in features if row.modality == "text" and row not in given]
    vision = [row for row in features if row.modality == "vision" and row not in given]
    pairs = all_pairs(params)
    return {
        "downloads": {
            _key(file): {"file": file, "sha256": source.sha256}
            for file, source in registry.items()
            if file in _raw_files(params)
        },
        "domains": {name: _domain(params, raw, name) for name in file_domains(params)},
        "unions": {name: _union(params, name) for name in union_domains(params)},
        "cores": {row.name: vars(row) for row in cores if row.domain not in repeats},
        "repeat_cores": {row.name: vars(row) for row in cores if row.domain in repeats},
        "catalogues": {name: _catalogue(params, raw, name) for name in params.catalogues},
        "cuts": {row.name: vars(row) for row in all_cuts(params)},
        "attributes": {row.name: _attributes(params, raw, row) for row in all_attributes(params)},
        "image_crawls": {name: _crawl(params, raw, name) for name in pictures},
        "trailer_crawls": {name: _crawl(params, raw, name) for name in trailers},
        "shard_corpora": {
            name: {"keys": _keys(raw, f"corpora.{name}", ["files", "repository", "revision"])}
            for name in shard_corpora(params)
        },
        "clip_corpora": {name: _clips(params, raw, name) for name in clips},
        "videos": [*trailers, *clips],
        "table_features": {row.name: {**vars(row), "inputs": _given(params, row)} for row in given},
        "text_features": {row.name: {**vars(row), "inputs": _texts(params, row)} for row in texts},
        "picture_features": _features(params, [row for row in vision if row.collection in pictures]),
        "frame_features": _features(params, [row for row in vision if row.collection in {*trailers, *clips}]),
        "shard_pairs": {row.name: vars(row) for row in pairs if row.corpus in shard_corpora(params)},
        "clip_pairs": {
            row.name: {**vars(row), "keys": _keys(raw, f"corpora.{row.corpus}", ["missing"])}
            for row in pairs
            if row.corpus in clips
        },
        "item_pairs": {
            row.name: _item_pairs(params, raw, row) for row in pairs if row.corpus in domain_corpora(params)
        },
        "retrievals": {
            row.name: {**vars(row), "encoder": pairs_of(params, row).encoder} for row in all_retrievals(params)
        },
        "experiments": {row.name: _experiment(params, raw, row) for row in all_experiments(params)},
        "evaluations": {row.name: _inputs(params, row) for row in reported_experiments(params)},
        "collected": {
            f"{report}.{_key(file)}": {"report": report, "file": file}
            for report in params.reports
            for file in layout.collected_files(params, report)
        },
    }


def padded(values: Sequence[str], count: int, filler: str | None = None) -> list[str]:
    """The values, repeated up to `count`, because a stage of DVC names a fixed number of inputs and keys."""
    return [*values, *[filler or values[0]] * (count - len(values))]


def _key(file: str) -> str:
    return re.sub(r"[^\w-]", "-", file)


def _raw(*files: str) -> list[str]:
    return [layout.path(layout.RAW_FILE, file=file) for file in files]


def _raw_files(params: Params) -> set[str]:
    domains = [[*domain_files(row), getattr(row.vision, "trailer_ids", None)] for row in params.domains.values()]
    corpora = [row.raw_files for row in params.corpora.values()]
    tables = [[row.vision, row.text] for row in params.encoders.values() if isinstance(row, TableEncoder)]
    catalogues = [[row.items] for row in params.catalogues.values()]
    return {file for files in [*domains, *corpora, *tables, *catalogues] for file in files if file}


def _keys(raw: dict[str, Any], row: str, keys: list[str]) -> list[str]:
    """The paths of the keys that a row has; a key that it leaves out has its default, which no edit changes."""
    found = raw
    for part in row.split("."):
        found = found[part]
    always = next(key for key in ("kind", "source") if key in found)
    return padded([f"{row}.{key}" for key in keys if key in found], len(keys), f"{row}.{always}")


def _domain(params: Params, raw: dict[str, Any], name: str) -> dict[str, Any]:
    files = _raw(*domain_files(params.domains[name]))
    return {"inputs": padded(files, RAW_FILES), "keys": _reading(raw, name)}


def _catalogue(params: Params, raw: dict[str, Any], name: str) -> dict[str, Any]:
    domain = params.domain_of(name)
    files = _raw(params.catalogues[name].items, *params.domains[domain].texts)
    known = str(stage.items_file(params, domain))
    return {"inputs": padded([*files, known], RAW_FILES), "keys": _reading(raw, domain)}


def _reading(raw: dict[str, Any], domain: str) -> list[str]:
    return _keys(raw, f"domains.{domain}", ["source", "texts", "text_fields"])


def _union(params: Params, name: str) -> dict[str, Any]:
    return {"members": padded([layout.path(layout.INGESTED, domain=row) for row in params.domains[name].of], MEMBERS)}


def _attributes(params: Params, raw: dict[str, Any], row: Core) -> dict[str, Any]:
    [items] = _raw(params.domains[row.domain].items)
    return {**vars(row), "input": items, "keys": _keys(raw, f"domains.{row.domain}", ["source", "attributes"])}


def _crawl(params: Params, raw: dict[str, Any], name: str) -> dict[str, Any]:
    items, domain = str(stage.items_file(params, name)), params.domain_of(name)
    trailer_ids = params.domains[domain].vision.trailer_ids
    inputs = padded([items, *(_raw(trailer_ids) if trailer_ids else [])], 2)
    return {"inputs": inputs, "keys": _keys(raw, f"domains.{domain}", ["vision", "crawl"])}


def _clips(params: Params, raw: dict[str, Any], name: str) -> dict[str, Any]:
    row = params.corpora[name]
    items = layout.path(layout.CLIP_ITEMS, corpus=name)
    return {
        "inputs": padded(_raw(*row.tables), RAW_FILES),
        "keys": _keys(raw, f"corpora.{name}", ["captions", "split", "videos"]),
        "videos": padded([items, *(_raw(row.archive) if row.archive else [])], 2),
        "video_keys": _keys(raw, f"corpora.{name}", ["videos", "crawl", "max_bytes"]),
    }


def _item_pairs(params: Params, raw: dict[str, Any], row: PairFolder) -> dict[str, Any]:
    return {
        **vars(row),
        "items": str(stage.items_file(params, params.corpora[row.corpus].domain)),
        "features": [layout.path(layout.FEATURES, file) for file in paired_features(params, row)],
        "keys": _keys(raw, f"corpora.{row.corpus}", ["missing"]),
    }


def _features(params: Params, rows: list[FeatureFile]) -> dict[str, Any]:
    return {row.name: {**vars(row), "input": str(stage.items_file(params, row.collection))} for row in rows}


def _texts(params: Params, row: FeatureFile) -> list[str]:
    """The table that is encoded, and the one that the encoder is fitted on."""
    if row.collection in params.corpora:
        return padded([layout.path(layout.CAPTIONS, corpus=row.collection)], 2)
    collections = [row.collection, params.domain_of(row.collection)]
    return [str(stage.items_file(params, name)) for name in collections]


def _given(params: Params, row: FeatureFile) -> list[str]:
    tables = vector_tables(params.encoders[row.encoder], row.modality, Path(layout.RAW))
    return padded([str(stage.items_file(params, row.collection)), *map(str, tables)], 2)


def _experiment(params: Params, raw: dict[str, Any], row: Experiment) -> dict[str, Any]:
    variant = params.variants[row.variant]
    name = variant.pretrained
    weights = [layout.path(layout.PRETRAINED_WEIGHTS, pretraining=name)] if name else []
    sources = [layout.path(layout.WEIGHTS, source) for source in sources_of(params, row)]
    items = layout.path(layout.ITEMS, row)
    trainer = ["trainer"] if MODELS[variant.model].trained else []
    model = [f"models.{variant.model}"] if variant.model in raw["models"] else []
    return {
        **_inputs(params, row),
        "weights": padded(weights, 1, items),
        "sources": padded(sources, MOST_PARTS, items),
        "keys": padded([f"variants.{row.variant}", *model, *trainer], 3),
    }


def _inputs(params: Params, row: Experiment) -> dict[str, Any]:
    """An experiment, with the features and attributes that its training and its evaluation read."""
    items = layout.path(layout.ITEMS, row)
    features = [layout.path(layout.FEATURES, file) for file in features_of(params, row)]
    attributes = [layout.path(layout.ATTRIBUTES, core) for core in attributes_of(params, row)]
    return {**vars(row), "features": padded(features, 2, items), "attributes": padded(attributes, 1, items)}


def text_of(groups: dict[str, dict[str, Any] | list[str]]) -> str:
    """The plan as YAML with one line for each row. A row is JSON, which is also YAML."""
    lines = [HEADER + "plan:"]
    for group, rows in groups.items():
        if isinstance(rows, list) or not rows:
            lines.append(f"  {group}: {json.dumps(rows)}")
        else:
            lines += [f"  {group}:", *(f"    {key}: {json.dumps(row)}" for key, row in rows.items())]
    return "\n".join(lines) + "\n"


def main(flags: Namespace) -> None:
    params = read_params(flags.params)
    raw = YAML(typ="safe", pure=True).load(flags.params.read_text(encoding="utf-8"))
    text = text_of(plan(params, raw, read_registry(flags.registry)))
    if flags.output:
        write_text(flags.output, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--registry", type=Path, default=layout.registry_file(), help="table of source files")
    parser.add_argument("--output", type=Path, help="file to write; without it the rows are printed")
    stage.run(main, parser)
