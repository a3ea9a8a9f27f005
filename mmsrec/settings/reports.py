"""The rows of `reports`, with the exhibits and the experiments of each report."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from mmsrec.report.exhibit_names import exhibit_names
from mmsrec.settings.row import Frozen, Name, Positive

Seed = Annotated[int, Field(ge=0)]


class Cores(Frozen):
    """All pairs of these domains and values of k."""

    domains: Annotated[list[Name], Field(min_length=1)]
    k_cores: Annotated[list[Positive], Field(min_length=1)]


class Experiments(Cores):
    """All combinations of these domains, values of k, splits, variants and seeds."""

    splits: Annotated[list[Name], Field(min_length=1)] = Field(description="rows of `splits`")
    variants: Annotated[list[Name], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]


class Retrievals(Frozen):
    """All pairs of these pre-trainings and test corpora."""

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
    """A page of tables and figures over the rows that it names."""

    title: str
    exhibits: Annotated[list[ExhibitName], Field(min_length=1)] = Field(
        description="files below mmsrec/report/exhibits, in the order of the page"
    )
    retrievals: list[Retrievals] = Field([])
    statistics: list[Cores] = Field([], description="k-cores in the statistics besides those of the experiments")
    experiments: list[Experiments] = Field([])
