"""The rows of params.yaml that say what is trained, how it is judged, and what is reported."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from mmsrec.models.mmsrec_settings import MMSRecSettings
from mmsrec.report.exhibit_names import exhibit_names
from mmsrec.settings.crawling import CrawlOverrides, Vision
from mmsrec.settings.row import Frozen, Name, Positive, RawPath, overrides
from mmsrec.settings.trainer import Trainer

Ties = Literal["source", "item", "shuffle"]
Modality = Literal["vision", "text"]

# Models whose item representation is made of features, and so need an encoder; the others know item ids only.
FEATURE_MODELS = frozenset({"mmsrec"})


class Training(MMSRecSettings, Trainer):
    """Settings of one model and of its training on a domain (Section 4.2.4 of the paper)."""


Overrides = overrides("Overrides", Training)


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

    model: Literal["pop", "sasrec", "mmsrec"]
    encoders: dict[Modality, Name] = Field({}, description="what made the features of each modality that is read")
    pretrained: Name | None = Field(None, description="row of `pretrainings` whose weights training starts from")
    training: Overrides = Overrides()
    by_domain: dict[Name, Overrides] = Field({}, description="further overrides in a domain")

    @model_validator(mode="after")
    def _features_where_needed(self) -> "Variant":
        needed = self.model in FEATURE_MODELS
        if needed and not self.encoders:
            raise ValueError(f"the model {self.model} needs an encoder of at least one of the modalities vision, text")
        if not needed and (self.encoders or self.pretrained):
            raise ValueError(f"the model {self.model} knows item ids only: leave out encoders and pretrained")
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


class Retrievals(Frozen):
    """Every pair of these pre-trainings and test corpora."""

    pretrainings: Annotated[list[Name], Field(min_length=1)]
    corpora: Annotated[list[Name], Field(min_length=1)]


def _known_exhibit(name: str) -> str:
    if name not in exhibit_names():
        raise ValueError(f"unknown exhibit {name!r}; known: {', '.join(exhibit_names())}")
    return name


ExhibitName = Annotated[
    Name, AfterValidator(_known_exhibit), WithJsonSchema({"type": "string", "enum": exhibit_names()})
]


class Report(Frozen):
    """A page of exhibits over the rows it names."""

    title: str
    exhibits: Annotated[list[ExhibitName], Field(min_length=1)] = Field(
        description="files below mmsrec/report/exhibits, in the order of the page"
    )
    retrievals: list[Retrievals] = Field([])
    statistics: list[Cores] = Field([], description="further rows of the statistics beside those of the experiments")
    experiments: list[Experiments] = Field([])
