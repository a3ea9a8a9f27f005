"""The exhibits of a report: names of files, or layouts that say which results have which place in a table or figure."""

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from mmsrec.report.exhibit_names import exhibit_names
from mmsrec.settings.evaluation import Protocol, each_once
from mmsrec.settings.plan_rows import Core, Cut, Experiment, Retrieval
from mmsrec.settings.row import Frozen, Name, Natural, Positive, Seed

RETRIEVED = ("recall@1", "recall@5", "recall@10", "median_rank")  # metrics of a zero-shot retrieval
Label = Annotated[str, Field(min_length=1)]


def _known_exhibit(name: str) -> str:
    if name not in exhibit_names():
        raise ValueError(f"unknown exhibit {name!r}; known: {', '.join(exhibit_names())}")
    return name


ExhibitName = Annotated[
    Name, AfterValidator(_known_exhibit), WithJsonSchema({"type": "string", "enum": exhibit_names()})
]


class Cores(Frozen):
    """All pairs of these domains and values of k."""

    domains: Annotated[list[Name], Field(min_length=1)]
    k_cores: Annotated[list[Positive], Field(min_length=1)]

    def rows(self) -> list[Core]:
        """The pairs, in the order of the domains."""
        return [Core(*row) for row in product(self.domains, self.k_cores)]


class Cuts(Cores):
    """All combinations of these domains, values of k and splits, with the seeds of their trainings."""

    splits: Annotated[list[Name], Field(min_length=1)] = Field(description="rows of `splits`")
    seeds: Annotated[list[Seed], Field(min_length=1)]

    def cuts(self) -> list[Cut]:
        """The combinations without the seeds."""
        return [Cut(*row) for row in product(self.domains, self.k_cores, self.splits)]


class Reported(Frozen):
    """A row of the paper's numbers, in mmsrec/report/published.csv."""

    table: str = Field(description="number of the paper's table")
    model: Name = Field(description="model in that file")
    features: str | None = Field(None, description="features in that file, where a model has several rows")


class ShownModel(Frozen):
    """A variant under the name that an exhibit shows."""

    label: Label
    variant: Name
    by_domain: dict[Name, Name] = Field({}, description="other variants in single domains, by domain")
    reported: Reported | None = Field(None, description="the paper's row of this model; absent: there is none")

    def variant_in(self, domain: str) -> str:
        """The variant that has this name in a domain."""
        return self.by_domain.get(domain, self.variant)


class ShownEncoder(Frozen):
    """A model of a zero-shot retrieval under the name that an exhibit shows."""

    label: Label
    pretraining: Name
    corpus: Name
    model: Annotated[str, Field(pattern="^(encoder|untrained|pretrained)$")] = Field(
        description="encoder: the frozen encoder's own vectors; untrained, pretrained: the item encoder"
    )
    reported: Reported | None = Field(None, description="the paper's row of this model; absent: there is none")


class Layout(Frozen):
    """A table or a figure of a report."""

    name: Name = Field(description="name of its files and of its section")
    exhibit: ExhibitName = Field(description="a file below mmsrec/report/exhibits, which draws it")
    title: str
    caption: str
    notes: list[str] = Field([], description="remarks below it")


class ModelLayout(Layout):
    """Metrics of models: every model on every cut."""

    cuts: Annotated[list[Cuts], Field(min_length=1)] = Field(description="data sets and seeds")
    models: Annotated[list[ShownModel], Field(min_length=1)] = Field(description="models in the order of the exhibit")
    metrics: Annotated[list[str], Field(min_length=1)]
    candidates: Annotated[list[Protocol], AfterValidator(each_once)] = Field(
        [],
        exclude_if=lambda protocols: not protocols,
        description="protocols that are shown, the first one in charts; absent: all that are measured",
    )

    @model_validator(mode="after")
    def _labels_name_one_model(self) -> "ModelLayout":
        labels = [model.label for model in self.models]
        if len(set(labels)) < len(labels):
            raise ValueError(f"each label may be used once, found {', '.join(labels)}")
        return self

    def protocols(self, measured: list[Protocol]) -> list[Protocol]:
        """The protocols that are shown, of those that are measured."""
        return self.candidates or measured

    def cells(self) -> Iterator[tuple[Cut, ShownModel, list[Experiment]]]:
        """Every cut and model with its trainings, one for each seed."""
        for grid in self.cuts:
            for cut, model in product(grid.cuts(), self.models):
                variant = model.variant_in(cut.domain)
                yield cut, model, [Experiment(*vars(cut).values(), variant, seed) for seed in grid.seeds]


class ScoreLayout(ModelLayout):
    """Metrics of models, one of which is ours."""

    ours: Label = Field(description="label of the model that is compared with the best of the others")
    chance: bool = Field(
        False, exclude_if=lambda shown: not shown, description="one more row has the metrics of a random ranking"
    )

    @model_validator(mode="after")
    def _ours_is_a_label(self) -> "ScoreLayout":
        labels = [model.label for model in self.models]
        if self.ours not in labels:
            raise ValueError(f"ours is {self.ours!r}, which is none of the labels {', '.join(labels)}")
        return self


class PopularityLayout(ModelLayout):
    """Metrics of models by the number of training actions with the test item."""

    bounds: Annotated[list[Natural], Field(min_length=1)] = Field(
        description="the largest number of each bucket, ascending; one more bucket has the larger numbers"
    )

    @model_validator(mode="after")
    def _bounds_ascend(self) -> "PopularityLayout":
        if sorted(set(self.bounds)) != self.bounds:
            raise ValueError(f"bounds must ascend, found {', '.join(map(str, self.bounds))}")
        return self


class SizeLayout(Layout):
    """Sizes of data sets."""

    sizes: Annotated[list[Cores], Field(min_length=1)] = Field(description="k-cores in the order of the table")


class RetrievalLayout(Layout):
    """Metrics of zero-shot retrieval, from texts to videos."""

    encoders: Annotated[list[ShownEncoder], Field(min_length=1)] = Field(description="models in the order of the table")
    metrics: Annotated[list[str], Field(min_length=1)]

    def retrievals(self) -> list[Retrieval]:
        """The retrieval of each model."""
        return [Retrieval(row.pretraining, row.corpus) for row in self.encoders]


# A layout with both of the first two keys is the first kind.
_PARTS = {"bounds": PopularityLayout, "cuts": ScoreLayout, "sizes": SizeLayout, "encoders": RetrievalLayout}


def _tag(value: Any) -> str | None:
    """The kind of an exhibit, which its keys tell."""
    if isinstance(value, str):
        return "name"
    has = value.__contains__ if isinstance(value, dict) else lambda part: hasattr(value, part)
    return next((part for part in _PARTS if has(part)), None)


AnyLayout = PopularityLayout | ScoreLayout | SizeLayout | RetrievalLayout
AnyExhibit = Annotated[
    Annotated[ExhibitName, Tag("name")]
    | Annotated[PopularityLayout, Tag("bounds")]
    | Annotated[ScoreLayout, Tag("cuts")]
    | Annotated[SizeLayout, Tag("sizes")]
    | Annotated[RetrievalLayout, Tag("encoders")],
    Discriminator(
        _tag,
        custom_error_type="exhibit",
        custom_error_message=f"an exhibit is a name, or a layout with one of the keys {', '.join(_PARTS)}",
    ),
]
