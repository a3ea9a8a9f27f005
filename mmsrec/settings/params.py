"""Reads params.yaml into typed, frozen settings, and validates them before anything runs.

A row that overrides settings has only the keys that it changes. The settings of one experiment come from four layers,
and a later layer overrides an earlier one. The layers are `trainer` and `models.MODEL`, that row's `by_domain`, the
variant, and the variant's `by_domain`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mmsrec.errors import ParamsError
from mmsrec.models.registry import MODELS
from mmsrec.settings.catalogues import Catalogue
from mmsrec.settings.corpora import Corpus, DomainCorpus
from mmsrec.settings.crawling import Crawl, crawl_policy
from mmsrec.settings.data import AnyDomain, Modality, Split, UnionDomain
from mmsrec.settings.encoding import Encoder, Frames
from mmsrec.settings.evaluation import Evaluation, Protocol
from mmsrec.settings.pretraining import Pretraining, PretrainingRow, pretraining_settings
from mmsrec.settings.references import check_catalogue, check_parts, check_start, check_union, known
from mmsrec.settings.report_checks import ReportChecks
from mmsrec.settings.reports import Report
from mmsrec.settings.row import Frozen, Name
from mmsrec.settings.trainer import Trainer
from mmsrec.settings.variants import AnyVariant, Models, Variant

Row = TypeVar("Row")


@dataclass(frozen=True)
class ModelSettings:
    """All the settings that decide a model's weights, besides its data and its seed.

    Attributes:
        model: name in the registry of models.
        settings: an instance of the model's settings class.
        trainer: settings of its training; a model without steps of training does not read them.
        modalities: the modalities of features that it reads.
        parts: the models that a blend sums, by variant.
    """

    model: str
    settings: Frozen
    trainer: Trainer
    modalities: tuple[Modality, ...] = ()
    parts: Mapping[str, "ModelSettings"] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """The settings as plain data, without those that have their default.

        A new setting with a default thus leaves the records of earlier trainings as they are.
        """
        dumped = {"model": self.model, "settings": self.settings.model_dump(mode="json", exclude_defaults=True)}
        if MODELS[self.model].trained:
            dumped["trainer"] = self.trainer.model_dump(mode="json", exclude_defaults=True)
        return dumped


class Params(Frozen):
    """The whole of params.yaml."""

    crawl: Crawl
    frames: Frames
    encoders: dict[Name, Encoder]
    corpora: dict[Name, Corpus]
    pretraining: Pretraining
    pretrainings: dict[Name, PretrainingRow]
    domains: dict[Name, AnyDomain]
    catalogues: dict[Name, Catalogue] = Field({}, description="items that arrived after a training")
    splits: dict[Name, Split]
    trainer: Trainer
    models: Models
    variants: dict[Name, AnyVariant]
    evaluation: Evaluation
    reports: dict[Name, Report]

    @model_validator(mode="after")
    def _rows_that_are_named_exist(self) -> "Params":
        for name, row in self.corpora.items():
            if isinstance(row, DomainCorpus):
                known(row.domain, self.domains, f"corpora.{name}.domain")
        for name, row in self.pretrainings.items():
            known(row.corpus, self.corpora, f"pretrainings.{name}.corpus")
            known(row.encoder, self.encoders, f"pretrainings.{name}.encoder")
            for modality in get_args(Modality):
                self._check_modality(row.encoder, modality, f"pretrainings.{name}.encoder")
            _fit(f"pretrainings.{name}", pretraining_settings, self.pretraining, row)
        for name, domain in self.domains.items():
            if isinstance(domain, UnionDomain):
                check_union(domain, self.domains, f"domains.{name}.of")
        for name in MODELS:
            for domain in getattr(self.models, name).by_domain:
                known(domain, self.domains, f"models.{name}.by_domain")
        for name, variant in self.variants.items():
            self._check_variant(variant, f"variants.{name}")
            check_start(name, self.variants, self.domains, self.encoders)
            check_parts(name, self.variants)
        for name, catalogue in self.catalogues.items():
            check_catalogue(catalogue, self.domains, self.variants, self.encoders, f"catalogues.{name}")
        for name, report in self.reports.items():
            self._report_checks().check(report, f"reports.{name}")
        for domain in self.domains:
            for variant in self.variants:
                self.settings_of(domain, variant)
        return self

    @model_validator(mode="after")
    def _names_of_collections_differ(self) -> "Params":
        if both := sorted(self.domains.keys() & self.corpora.keys()):
            raise ValueError(f"corpora: {', '.join(both)} is a domain too, and their files would share a path")
        for kind, rows in {"domain": self.domains, "corpus": self.corpora}.items():
            if both := sorted(self.catalogues.keys() & rows.keys()):
                raise ValueError(f"catalogues: {', '.join(both)} is a {kind} too, and their files would share a path")
        if both := sorted(self.catalogues.keys() & self.reports.keys()):
            raise ValueError(f"catalogues: {', '.join(both)} is a report too, and both would be one target")
        return self

    def _check_variant(self, variant: Variant, key: str) -> None:
        for modality, encoder in variant.encoders.items():
            known(encoder, self.encoders, f"{key}.encoders.{modality}")
            self._check_modality(encoder, modality, f"{key}.encoders.{modality}")
        for domain in variant.by_domain:
            known(domain, self.domains, f"{key}.by_domain")
        if variant.pretrained:
            known(variant.pretrained, self.pretrainings, f"{key}.pretrained")
            trained_on = self.pretrainings[variant.pretrained].encoder
            if others := sorted(set(variant.encoders.values()) - {trained_on}):
                raise ValueError(
                    f"{key}.encoders: {', '.join(others)}, but {variant.pretrained} was trained on {trained_on}"
                )

    def _check_modality(self, encoder: str, modality: Modality, key: str) -> None:
        row = self.encoders[encoder]
        if modality not in row.modalities:
            raise ValueError(f"{key}: {encoder} encodes {' and '.join(row.modalities)} alone, not {modality}")

    def _report_checks(self) -> ReportChecks:
        return ReportChecks(
            self.domains,
            self.splits,
            self.variants,
            self.encoders,
            self.pretrainings,
            self.corpora,
            self.evaluation,
        )

    def settings_of(self, domain: str, variant: str) -> ModelSettings:
        """The settings of a variant in a domain, merged from their layers."""
        row = self.variants[variant]
        layers = [*getattr(self.models, row.model).layers(domain), *row.layers(domain)]
        settings: dict[str, Any] = {}
        trainer = self.trainer.model_dump()
        for layer in layers:
            settings |= layer.settings.model_dump(exclude_unset=True)
            trainer |= layer.trainer.model_dump(exclude_unset=True)
        key = f"variants.{variant} in the domain {domain}"
        chosen = ModelSettings(
            row.model,
            _fit(f"{key}: settings", MODELS[row.model].settings, **settings),
            _fit(f"{key}: trainer", Trainer, **trainer),
            tuple(row.modalities),
        )
        if MODELS[row.model].blends:
            parts = {part: self.settings_of(domain, part) for part in chosen.settings.parts}
            return replace(chosen, parts=parts)
        if MODELS[row.model].trained and not chosen.trainer.max_epochs and row.starts_from is None:
            raise ValueError(f"{key}: max_epochs 0 keeps the weights of a start, so it needs starts_from")
        return chosen

    def pretraining_of(self, name: str) -> Pretraining:
        """The settings of one pre-training: `pretraining`, then the row's."""
        return pretraining_settings(self.pretraining, row_of(self.pretrainings, name, "pretrainings"))

    def protocols_of(self, split: str) -> list[Protocol]:
        """The protocols that models on a split are evaluated under, the first one of `evaluation` first."""
        return [*self.evaluation.candidates, *row_of(self.splits, split, "splits").protocols]

    def crawl_of(self, name: str) -> Crawl:
        """The fetch policy of a domain, a catalogue or a corpus: `crawl`, then its row."""
        rows = self.domains | self.corpora
        return crawl_policy(self.crawl, row_of(rows, self.domain_of(name), "domains, catalogues, corpora").crawl)

    def domain_of(self, name: str) -> str:
        """The domain whose rules the items of a collection follow: a catalogue's domain, or the name itself."""
        return self.catalogues[name].domain if name in self.catalogues else name


def _fit(key: str, make: Callable[..., Row], *arguments: Any, **settings: Any) -> Row:
    """Makes settings from several rows.

    Raises:
        ValueError: the rows contradict each other; the message starts with `key`.
    """
    try:
        return make(*arguments, **settings)
    except ValidationError as error:
        reason = "; ".join(_describe(detail) for detail in error.errors())
        raise ValueError(f"{key}: {reason}") from error


def row_of(rows: Mapping[str, Row], name: str, key: str) -> Row:
    """The row `name` of the table `key` of params.yaml.

    Raises:
        ParamsError: there is no such row.
    """
    if name not in rows:
        raise ParamsError("The parameters have no such row.", where=key, expected=", ".join(sorted(rows)), found=name)
    return rows[name]


def read_params(path: Path) -> Params:
    """Reads and validates params.yaml.

    Raises:
        ParamsError: the file is missing, is not YAML or is not valid. For each wrong key, the message has the path, the
            expected type and the value found.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(
            "The parameter file is missing.", where=path, fix="Name one with --params, or run from the repository root."
        ) from error
    # Too many brackets are a RecursionError, a number of too many digits or a day that does not exist a ValueError.
    except (YAMLError, ValueError, RecursionError) as error:
        raise ParamsError("The parameter file is not YAML.", where=path, found=error) from error
    return parse_params(raw, path)


def parse_params(raw: object, where: object = "params") -> Params:
    """Validates parameters that are already plain dictionaries, lists and scalars; errors as in `read_params`."""
    try:
        plain = json.dumps(raw)
    except (TypeError, ValueError) as error:
        raise ParamsError(
            "A parameter is neither text, a number, true, false, null, a list nor a mapping.",
            where=where,
            found=error,
            fix="Put text that looks like a date in quotes; an anchor must not contain itself.",
        ) from error
    try:
        # pydantic's strict mode accepts a list for a tuple, or the value of an enum, in JSON only.
        return Params.model_validate_json(plain)
    except ValidationError as error:
        raise ParamsError(
            "The parameters are not valid.",
            where=where,
            found="".join(f"\n    {_describe(detail)}" for detail in error.errors()),
            fix="Correct these keys; params.schema.json lists every key with its type and description.",
        ) from error


def _describe(detail: dict[str, Any]) -> str:
    match detail["type"]:
        case "value_error":
            message = detail["msg"].removeprefix("Value error, ")
        case "extra_forbidden":
            message = "unknown key"
        case "missing":
            message = "missing"
        case _:
            message = f"{detail['msg']}, found {detail['input']!r}"
    return ": ".join(filter(None, [".".join(map(str, _path(detail["loc"]))), message]))


def _path(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The path of a key in params.yaml, without the value that pydantic inserts to name the member of a union."""
    members = {"variants": 2, "encoders": 2, "corpora": 2, "domains": 2, "reports": 4}
    place = members.get(location[0], 0) if location else 0
    is_member = place and location[2:3] != ("[key]",) and (place == 2 or location[2:3] == ("exhibits",))
    return location[:place] + location[place + 1 :] if is_member else location


def schema() -> dict[str, Any]:
    """The JSON schema of params.yaml."""
    return Params.model_json_schema()
