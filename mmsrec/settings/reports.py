"""The rows of `reports`, with the exhibits and the experiments of each report."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Annotated, TypeVar

from pydantic import Field, model_validator

from mmsrec.settings.layouts import (
    AnyExhibit,
    Cores,
    Cuts,
    ModelLayout,
    PopularityLayout,
    RetrievalLayout,
    SizeLayout,
)
from mmsrec.settings.plan_rows import Core, Cut, Experiment, Retrieval
from mmsrec.settings.row import Frozen, Name, Positive

Row = TypeVar("Row", Core, Experiment, Retrieval)
Layout = TypeVar("Layout", bound=ModelLayout | SizeLayout | RetrievalLayout)


class Experiments(Cuts):
    """All combinations of these domains, values of k, splits, variants and seeds."""

    variants: Annotated[list[Name], Field(min_length=1)]

    def rows(self) -> list[Experiment]:
        """The combinations, in the order of the domains."""
        return [Experiment(*row) for row in product(self.domains, self.k_cores, self.splits, self.variants, self.seeds)]


class Retrievals(Frozen):
    """All pairs of these pre-trainings and test corpora."""

    pretrainings: Annotated[list[Name], Field(min_length=1)]
    corpora: Annotated[list[Name], Field(min_length=1)]

    def rows(self) -> list[Retrieval]:
        """The pairs, in the order of the pre-trainings."""
        return [Retrieval(*row) for row in product(self.pretrainings, self.corpora)]


class Absent(Frozen):
    """Rows that cannot be made, and the reason; they are in the exhibits but are not run.

    A key that is left out matches every value. The keys domains, k_cores and variants select experiments, and without
    variants k-cores, too. The keys pretrainings and corpora select retrievals.
    """

    reason: Annotated[str, Field(min_length=1)] = Field(description="a few words, shown in place of the number")
    domains: list[Name] = Field([])
    k_cores: list[Positive] = Field([])
    variants: list[Name] = Field([])
    pretrainings: list[Name] = Field([])
    corpora: list[Name] = Field([])

    @model_validator(mode="after")
    def _selects_one_kind(self) -> "Absent":
        training, retrieval = (any(getattr(self, key) for key in keys) for keys in (_OF_TRAININGS, _OF_RETRIEVALS))
        if training == retrieval:
            raise ValueError(f"name some of {', '.join(_OF_TRAININGS)}, or some of {', '.join(_OF_RETRIEVALS)}")
        return self

    def matches(self, row: Core | Experiment | Retrieval) -> bool:
        """Whether the row is one of those that cannot be made."""
        given = {key: values for key in _KEYS if (values := getattr(self, key))}
        return all(hasattr(row, field := _KEYS[key]) and getattr(row, field) in given[key] for key in given)


_OF_TRAININGS = {"domains": "domain", "k_cores": "k_core", "variants": "variant"}
_OF_RETRIEVALS = {"pretrainings": "pretraining", "corpora": "corpus"}
_KEYS = _OF_TRAININGS | _OF_RETRIEVALS


class Report(Frozen):
    """A page of tables and figures over the rows that it names."""

    title: str
    exhibits: Annotated[list[AnyExhibit], Field(min_length=1)] = Field(
        description="tables and figures in the order of the page"
    )
    retrievals: list[Retrievals] = Field([])
    statistics: list[Cores] = Field([], description="k-cores in the statistics besides those of the experiments")
    experiments: list[Experiments] = Field([], description="experiments besides those of the exhibits' layouts")
    absent: list[Absent] = Field([], description="rows that cannot be made here, each with the reason")

    def layouts(self, kind: type[Layout]) -> list[Layout]:
        """The layouts of one kind, in the order of the page."""
        return [exhibit for exhibit in self.exhibits if isinstance(exhibit, kind)]

    def absence(self, row: Core | Experiment | Retrieval) -> str | None:
        """The reason why a row cannot be made, or None if it can."""
        return next((absent.reason for absent in self.absent if absent.matches(row)), None)

    def experiment_rows(self) -> list[Experiment]:
        """The experiments to run, each once: those of `experiments`, then those of the layouts."""
        return self._possible([*_rows(self.experiments), *_shown(self.layouts(ModelLayout))])

    def sequence_rows(self) -> list[Cut]:
        """The data sets whose sequences the exhibits read, each once."""
        shown = self._possible(_shown(self.layouts(PopularityLayout)))
        return list(dict.fromkeys(row.cut for row in shown))

    def core_rows(self) -> list[Core]:
        """The k-cores with statistics, each once: of the experiments, of `statistics`, then of the layouts."""
        named = _rows([*self.statistics, *(grid for layout in self.layouts(SizeLayout) for grid in layout.sizes)])
        return self._possible([*(row.core for row in self.experiment_rows()), *named])

    def retrieval_rows(self) -> list[Retrieval]:
        """The retrievals to run, each once: those of `retrievals`, then those of the layouts."""
        shown = (row for layout in self.layouts(RetrievalLayout) for row in layout.retrievals())
        return self._possible([*_rows(self.retrievals), *shown])

    def _possible(self, rows: Iterable[Row]) -> list[Row]:
        return [row for row in dict.fromkeys(rows) if self.absence(row) is None]


def _shown(layouts: Iterable[ModelLayout]) -> Iterator[Experiment]:
    return (row for layout in layouts for *_, rows in layout.cells() for row in rows)


def _rows(grids: Iterable) -> Iterator:
    return (row for grid in grids for row in grid.rows())
