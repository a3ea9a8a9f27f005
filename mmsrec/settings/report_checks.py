"""Checks of the rows of `reports`, which name rows of all other tables.

Every function raises ValueError with the key of the wrong row; pydantic turns it into a `ParamsError`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmsrec.models.registry import MODELS
from mmsrec.settings.data import AnyDomain, Split
from mmsrec.settings.encoding import Encoder
from mmsrec.settings.evaluation import Evaluation
from mmsrec.settings.layouts import RETRIEVED, Cores, ModelLayout, RetrievalLayout, SizeLayout
from mmsrec.settings.references import check_union_features, known
from mmsrec.settings.reports import Experiments, Report
from mmsrec.settings.variants import Variant


@dataclass(frozen=True)
class ReportChecks:
    """The tables of params.yaml that a report names."""

    domains: Mapping[str, AnyDomain]
    splits: Mapping[str, Split]
    variants: Mapping[str, Variant]
    encoders: Mapping[str, Encoder]
    pretrainings: Mapping[str, Any]
    corpora: Mapping[str, Any]
    evaluation: Evaluation

    def check(self, report: Report, key: str) -> None:
        """Checks all rows of a report."""
        for index, cores in enumerate(report.statistics):
            self._check_cores(cores, f"{key}.statistics.{index}")
        for index, grid in enumerate(report.experiments):
            self._check_experiments(grid, f"{key}.experiments.{index}")
        for index, retrievals in enumerate(report.retrievals):
            self._check_names(retrievals, ("pretrainings", "corpora"), f"{key}.retrievals.{index}")
        for index, absent in enumerate(report.absent):
            self._check_names(absent, ("domains", "variants", "pretrainings", "corpora"), f"{key}.absent.{index}")
        for index, exhibit in enumerate(report.exhibits):
            place = f"{key}.exhibits.{index}"
            match exhibit:
                case ModelLayout():
                    self._check_scores(report, exhibit, place)
                case SizeLayout():
                    for number, cores in enumerate(exhibit.sizes):
                        self._check_cores(cores, f"{place}.sizes.{number}")
                case RetrievalLayout():
                    self._check_encoders(exhibit, place)
        names = [exhibit if isinstance(exhibit, str) else exhibit.name for exhibit in report.exhibits]
        if len(set(names)) < len(names):
            raise ValueError(f"{key}.exhibits: two exhibits have one name, found {', '.join(names)}")
        if "report" in names:
            raise ValueError(f"{key}.exhibits: report.html has all exhibits, so no exhibit may have the name report")

    def _check_names(self, row: Any, tables: Iterable[str], key: str) -> None:
        for table in tables:
            for name in getattr(row, table):
                known(name, getattr(self, table), f"{key}.{table}")

    def _check_cores(self, grid: Cores, key: str) -> None:
        for domain in grid.domains:
            known(domain, self.domains, f"{key}.domains")
            lowest = self.domains[domain].k_core
            if min(grid.k_cores) < lowest:
                raise ValueError(f"{key}.k_cores: {min(grid.k_cores)} is below domains.{domain}.k_core, {lowest}")

    def _check_experiments(self, grid: Experiments, key: str) -> None:
        self._check_cores(grid, key)
        self._check_names(grid, ("splits", "variants"), key)
        for variant in grid.variants:
            for domain in grid.domains:
                self._check_variant(variant, domain, f"{key}.variants")
        self._check_attributes(grid.variants, grid.domains, key)

    def _check_scores(self, report: Report, layout: ModelLayout, key: str) -> None:
        for number, cuts in enumerate(layout.cuts):
            self._check_cores(cuts, f"{key}.cuts.{number}")
            self._check_names(cuts, ("splits",), f"{key}.cuts.{number}")
            for split in cuts.splits:
                self._check_protocols(layout, split, f"{key}.candidates")
        for number, model in enumerate(layout.models):
            for name in (model.variant, *model.by_domain.values()):
                known(name, self.variants, f"{key}.models.{number}")
            for name in model.by_domain:
                known(name, self.domains, f"{key}.models.{number}.by_domain")
        _check_metrics(layout.metrics, self.evaluation.metrics, key)
        for cut, _, rows in layout.cells():
            for row in rows:
                if report.absence(row) is None:
                    self._check_variant(row.variant, cut.domain, f"{key}.models")
                    self._check_attributes([row.variant], [cut.domain], f"{key}.models")

    def _check_protocols(self, layout: ModelLayout, split: str, key: str) -> None:
        measured = [*self.evaluation.candidates, *self.splits[split].protocols]
        if others := [protocol for protocol in layout.candidates if protocol not in measured]:
            raise ValueError(f"{key}: {others[0]} is not measured on splits.{split}, but {', '.join(measured)}")

    def _check_encoders(self, layout: RetrievalLayout, key: str) -> None:
        for number, row in enumerate(layout.encoders):
            known(row.pretraining, self.pretrainings, f"{key}.encoders.{number}.pretraining")
            known(row.corpus, self.corpora, f"{key}.encoders.{number}.corpus")
        _check_metrics(layout.metrics, RETRIEVED, key)

    def _check_variant(self, name: str, domain: str, key: str) -> None:
        variant = self.variants[name]
        if not MODELS[variant.model].validated:
            raise ValueError(f"{key}: {name} is a pre-training, which is not evaluated; name what starts from it")
        check_union_features(variant, self.domains[domain], self.encoders, f"{key}: {name}")

    def _check_attributes(self, variants: Iterable[str], domains: Iterable[str], key: str) -> None:
        reading = [name for name in variants if self._reads_attributes(self.variants[name])]
        lacking = [name for name in domains if self.domains[name].attributes is None]
        if reading and lacking:
            readers = ", ".join(reading)
            raise ValueError(
                f"{key}: attributes of items are read by {readers}, and domains.{lacking[0]} has no key attributes"
            )

    def _reads_attributes(self, variant: Variant) -> bool:
        model = MODELS[variant.model]
        parts = (variant.settings.parts or []) if model.blends else []
        return model.reads_attributes or any(self._reads_attributes(self.variants[part]) for part in parts)


def _check_metrics(metrics: Iterable[str], allowed: Iterable[str], key: str) -> None:
    for name in metrics:
        if name not in allowed:
            raise ValueError(f"{key}.metrics: unknown name {name!r}; known: {', '.join(allowed)}")
