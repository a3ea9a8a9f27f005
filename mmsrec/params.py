"""The only reader of params.yaml: typed, frozen, validated before anything runs.

Every row (domain, encoder, variant, report) is data. A row that overrides training settings names only what it changes:
the settings of one experiment are those of `training`, then the domain's, then the variant's, then the variant's for
that domain.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mmsrec.encoder_rows import Encoder, Frames
from mmsrec.errors import ParamsError
from mmsrec.media_rows import Crawl, Trailers, Vision
from mmsrec.model_rows import ItemEncoderSettings
from mmsrec.rows import Frozen, Name, Positive, RawPath, Share, overrides

Ties = Literal["source", "item", "shuffle"]
Modality = Literal["vision", "text"]
Row = TypeVar("Row")

# Models whose item representation is made of features, and so need an encoder; the others know item ids only.
FEATURE_MODELS = frozenset({"mmsrec"})


class Training(ItemEncoderSettings):
    """Settings of one model and of its training on a domain (Section 4.2.4 of the paper)."""

    max_length: Annotated[int, Field(ge=2)] = Field(description="N: the last N items of a sequence, the mask included")
    mask_probability: Share = Field(description="of a position that is not the last")
    augment: Literal["prefixes", "none"] = Field(description="every prefix of a sequence, or the sequence alone")
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: Annotated[float, Field(gt=0)]
    batch_size: Positive = Field(description="sequences a step")
    max_epochs: Positive
    patience: Positive = Field(description="epochs without a better validation Recall@10 before training stops")
    precision: Literal["float32", "bfloat16"] = Field(description="of the products with the item table")


Overrides = overrides("Overrides", Training)
TrailerOverrides = overrides("TrailerOverrides", Trailers)


class CrawlOverrides(overrides("_CrawlOverrides", Crawl)):
    """What a domain's crawl does otherwise; of the trailers too it names only what it changes."""

    trailers: TrailerOverrides = TrailerOverrides()


class Prepare(Frozen):
    """How sequences are made."""

    tie_seed: Annotated[int, Field(ge=0)] = Field(description="seed of the `shuffle` rule")


class Domain(Frozen):
    """A catalogue with its users' actions."""

    source: Literal["amazon", "movielens", "table"] = Field(description="format of the raw files")
    interactions: RawPath
    items: RawPath
    text_fields: Annotated[list[str], Field(min_length=1)] = Field(description="item fields joined into its text")
    vision: Vision | None = Field(None, description="absent: the domain has no pictures")
    k_core: Positive = Field(description="lowest k studied; features are kept for the items of this core")
    ties: Ties = Field(description="order of a user's actions that share a timestamp")
    published: str | None = Field(None, description="name of this domain in the paper's tables")
    training: Overrides = Field(description="what differs from the common settings; {} for nothing")
    crawl: CrawlOverrides = CrawlOverrides()


class Variant(Frozen):
    """A model or an ablation of one."""

    model: Literal["pop", "mmsrec"]
    encoders: dict[Modality, Name] = Field({}, description="what made the features of each modality that is read")
    training: Overrides = Overrides()
    by_domain: dict[Name, Overrides] = Field({}, description="further overrides in a domain")

    @model_validator(mode="after")
    def _features_where_needed(self) -> "Variant":
        needed = self.model in FEATURE_MODELS
        if needed and not self.encoders:
            raise ValueError(f"the model {self.model} needs an encoder of at least one of the modalities vision, text")
        if not needed and self.encoders:
            raise ValueError(f"the model {self.model} knows item ids only: leave out encoders")
        return self

    @property
    def modalities(self) -> list[Modality]:
        """The modalities that the model reads, in one order whatever that of the row."""
        return [modality for modality in get_args(Modality) if modality in self.encoders]


class Evaluation(Frozen):
    """How a ranking is judged."""

    candidates: Literal["all", "unseen"] = Field(description="rank among all items, or leave out the user's history")
    cutoffs: Annotated[list[Positive], Field(min_length=1)] = Field(description="k of Recall@k and NDCG@k")
    top: Positive = Field(description="best items kept for each user")


class Cores(Frozen):
    """Every pair of these domains and k."""

    domains: Annotated[list[Name], Field(min_length=1)]
    k_cores: Annotated[list[Positive], Field(min_length=1)]


class Experiments(Cores):
    """Every combination of these domains, k, variants and seeds."""

    variants: Annotated[list[Name], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class Report(Frozen):
    """A page of tables over the rows it names."""

    title: str
    tables: Annotated[list[Literal["statistics", "comparison", "learning"]], Field(min_length=1)]
    statistics: list[Cores] = Field([], description="further rows of the statistics beside those of the experiments")
    experiments: list[Experiments] = Field([])


class Params(Frozen):
    """The whole of params.yaml."""

    prepare: Prepare
    crawl: Crawl
    training: Training
    evaluation: Evaluation
    frames: Frames
    encoders: dict[Name, Encoder]
    domains: dict[Name, Domain]
    variants: dict[Name, Variant]
    reports: dict[Name, Report]

    @model_validator(mode="after")
    def _rows_that_are_named_exist(self) -> "Params":
        for name, variant in self.variants.items():
            for modality, encoder in variant.encoders.items():
                _known(encoder, self.encoders, f"variants.{name}.encoders.{modality}")
            for domain in variant.by_domain:
                _known(domain, self.domains, f"variants.{name}.by_domain")
        for name, report in self.reports.items():
            for field in ("statistics", "experiments"):
                for index, grid in enumerate(getattr(report, field)):
                    self._check_grid(grid, f"reports.{name}.{field}.{index}")
        for domain in self.domains:
            for variant in self.variants:
                self.training_of(domain, variant)
        return self

    def _check_grid(self, grid: Cores, key: str) -> None:
        for domain in grid.domains:
            _known(domain, self.domains, f"{key}.domains")
            lowest = self.domains[domain].k_core
            if min(grid.k_cores) < lowest:
                raise ValueError(f"{key}.k_cores: {min(grid.k_cores)} is below domains.{domain}.k_core, {lowest}")
        for variant in getattr(grid, "variants", []):
            _known(variant, self.variants, f"{key}.variants")

    def training_of(self, domain: str, variant: str) -> Training:
        """The settings of one experiment: `training`, then the domain's row, the variant's, the variant's for it."""
        row = self.variants[variant]
        layers = (self.domains[domain].training, row.training, row.by_domain.get(domain, Overrides()))
        merged = self.training.model_dump()
        for layer in layers:
            merged |= layer.model_dump(exclude_none=True)
        try:
            return Training(**merged)
        except ValidationError as error:
            reason = "; ".join(_describe(detail) for detail in error.errors())
            raise ValueError(f"variants.{variant} in the domain {domain}: {reason}") from error

    def crawl_of(self, domain: str) -> Crawl:
        """The fetch policy of a domain: `crawl`, then the domain's row."""
        own = row_of(self.domains, domain, "domains").crawl.model_dump(exclude_none=True)
        trailers = self.crawl.trailers.model_dump() | own.pop("trailers")
        return Crawl(**self.crawl.model_dump() | own | {"trailers": trailers})

    def ties_of(self, domain: str) -> Ties:
        """The tie rule of a domain."""
        return self.domains[domain].ties


def _known(name: str, rows: dict[str, Any], key: str) -> None:
    if name not in rows:
        raise ValueError(f"{key}: unknown name {name!r}; known: {', '.join(sorted(rows))}")


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
        ParamsError: with every offending key's path, the expected type and the value found.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(
            "The parameter file is missing.", where=path, fix="Name one with --params, or run from the repository root."
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
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
            fix="Put text that looks like a date in quotes; an anchor must not hold itself.",
        ) from error
    try:
        # Through JSON, because pydantic's strict mode takes a list for a tuple or an enum's value there only.
        return Params.model_validate_json(plain)
    except ValidationError as error:
        raise ParamsError(
            "The parameters are not valid.",
            where=where,
            found="".join(f"\n    {_describe(detail)}" for detail in error.errors()),
            fix="Correct these keys; params.schema.json lists every key with its type and meaning.",
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
    return ": ".join(filter(None, [".".join(map(str, detail["loc"])), message]))


def schema() -> dict[str, Any]:
    """The JSON schema of params.yaml."""
    return Params.model_json_schema()
