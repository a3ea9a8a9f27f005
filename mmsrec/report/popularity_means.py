"""Means of test metrics over the users whose test item occurs so often in training, for each model of a layout."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np
import polars as pl

from mmsrec.errors import ArtifactError
from mmsrec.evaluation.metrics import gains
from mmsrec.report.cells import CHANCE
from mmsrec.report.experiment_groups import GROUPS
from mmsrec.report.inputs import CANDIDATES, KEYS, Inputs
from mmsrec.report.seeds import over_seeds
from mmsrec.report.target_counts import TargetCounts, target_counts
from mmsrec.report.user_gains import user_ranks
from mmsrec.settings.evaluation import RANK_COLUMNS, Protocol
from mmsrec.settings.layouts import PopularityLayout
from mmsrec.settings.plan import Cut, Experiment

ELSEWHERE = "ranks on another machine"
NO_SEQUENCES = "no sequences here"
# The columns that name a row.
NAMED = {group.field: KEYS.get(group.field, pl.String) for group in GROUPS} | {"bucket": pl.String, "label": pl.String}


def bucket_names(bounds: Sequence[int]) -> list[str]:
    """The numbers of each bucket, such as 0, 1-5, 6-20 and > 20."""
    ends = [f"{low + 1}-{high}" if high > low + 1 else f"{high}" for low, high in pairwise([-1, *bounds])]
    return [*ends, f"> {bounds[-1]}"]


def popularity_frame(inputs: Inputs, layout: PopularityLayout) -> pl.DataFrame:
    """One row for each data set, protocol, bucket and model, and for a random ranking.

    Returns:
        The columns of `NAMED`, and the following ones.

        - users: number of test users in the bucket; null without the file of sequences.
        - missing: the reason why there is no number.
        - seeds: number of seeds.
        - METRIC_measured: the mean over seeds; null in a bucket without users.
        - METRIC_interval: half the width of its 95 % interval.

    Raises:
        ArtifactError: a file is missing or damaged, or a result has other users than the sequences.
    """
    parts = [_part(inputs, layout, cut) for cut in dict.fromkeys(cut for cut, *_ in layout.cells())]
    asked = [row for part in parts for row in part.asked()]
    measured = [row for part in parts if part.targets for row in [*part.measured(), *part.by_chance()]]
    values = dict.fromkeys(layout.metrics, pl.Float64)
    means = over_seeds(pl.DataFrame(measured, schema=NAMED | values), list(NAMED), layout.metrics)
    frame = pl.DataFrame(asked, schema=NAMED | {"users": pl.Int64, "missing": pl.String})
    has_no_number = pl.col("seeds").is_null() & pl.col("users").ne_missing(0)
    is_model = pl.col("label") != CHANCE
    of_seeds = ["seeds", *(f"{metric}_interval" for metric in layout.metrics)]
    return frame.join(means, on=list(NAMED), how="left", maintain_order="left").with_columns(
        pl.when(has_no_number).then("missing").alias("missing"),
        *(pl.when(is_model).then(name).alias(name) for name in of_seeds),
    )


def _part(inputs: Inputs, layout: PopularityLayout, cut: Cut) -> "_Part":
    sizes = {(row["domain"], row["k_core"]): row["items"] for row in inputs.statistics().to_dicts()}
    path, items = inputs.sequences(cut), sizes.get((cut.domain, cut.k_core), 0)
    tests_cold = bool(inputs.params.splits[cut.split].cold_items)
    return _Part(inputs, layout, cut, items, target_counts(path, items, cold=tests_cold) if path and items else None)


@dataclass(frozen=True)
class _Part:
    """One data set of a layout.

    Attributes:
        items: number of items.
        targets: the users' test items; None without the files of sequences and of statistics.
    """

    inputs: Inputs
    layout: PopularityLayout
    cut: Cut
    items: int
    targets: TargetCounts | None

    @cached_property
    def models(self) -> dict[str, list[Experiment]]:
        """The trainings of each model."""
        return {model.label: rows for cut, model, rows in self.layout.cells() if cut == self.cut}

    @cached_property
    def buckets_U(self) -> np.ndarray:
        """The number of each user's bucket, in the order of the users' names."""
        return np.searchsorted(self.layout.bounds, self.targets.users["count"].to_numpy(), side="left")

    @property
    def protocols(self) -> list[Protocol]:
        return self.layout.protocols(self.inputs.params.protocols_of(self.cut.split))

    def asked(self) -> Iterator[dict[str, Any]]:
        """The rows without their numbers."""
        buckets = bucket_names(self.layout.bounds)
        users = np.bincount(self.buckets_U, minlength=len(buckets)).tolist() if self.targets else [None] * len(buckets)
        reasons = {label: self._reason(rows) for label, rows in self.models.items()} | {CHANCE: NO_SEQUENCES}
        for protocol, (bucket, count), label in product(self.protocols, zip(buckets, users, strict=True), reasons):
            yield self._named(protocol, label) | {"bucket": bucket, "users": count, "missing": reasons[label]}

    def measured(self) -> Iterator[dict[str, Any]]:
        """The means over the users of each bucket, for each protocol and training whose ranks are here."""
        for label, experiments in self.models.items():
            for experiment in self.inputs.finished(experiments):
                ranks = self._ranks(experiment)
                for protocol in self.protocols:
                    columns = (ranks[name].to_numpy() for name in RANK_COLUMNS[protocol])
                    yield from self._means(self._named(protocol, label), *columns)

    def by_chance(self) -> Iterator[dict[str, Any]]:
        """The same for a ranking that gives all candidates of a user the same score."""
        for protocol in self.protocols:
            candidates_U = self.targets.candidates(protocol, self.items)
            yield from self._means(self._named(protocol, CHANCE), (candidates_U + 1) / 2, candidates_U)

    def _named(self, protocol: Protocol, label: str) -> dict[str, Any]:
        return vars(self.cut) | {CANDIDATES: protocol, "label": label}

    def _means(self, keys: Mapping[str, Any], rank_U: np.ndarray, ties_U: np.ndarray) -> Iterator[dict[str, Any]]:
        """The metrics of each bucket that has users."""
        values = {metric: gains(rank_U, ties_U, metric) for metric in self.layout.metrics}
        for number, bucket in enumerate(bucket_names(self.layout.bounds)):
            chosen_U = self.buckets_U == number
            if chosen_U.any():
                means = {name: float(value_U[chosen_U].mean()) for name, value_U in values.items()}
                yield {**keys, "bucket": bucket, **means}

    def _reason(self, experiments: Sequence[Experiment]) -> str:
        """The reason why a model has no number, where it has none."""
        if self.inputs.finished(experiments):
            return NO_SEQUENCES
        shown = pl.DataFrame([vars(row) for row in experiments], schema=KEYS)
        known = self.inputs.metrics().join(shown, on=list(KEYS), how="semi")
        return self.inputs.absence(experiments[0]) if known.is_empty() else ELSEWHERE

    def _ranks(self, experiment: Experiment) -> pl.DataFrame:
        ranks, users = user_ranks(self.inputs, experiment), self.targets.users["user"]
        if not ranks["user"].equals(users):
            raise ArtifactError(
                "A result ranks other users than the sequences have.",
                where=self.inputs.ranks_path(experiment),
                expected=f"{len(users):,} users of {self.inputs.sequences_path(self.cut)}",
                found=f"{ranks.height:,} users",
                fix=f"Run the stages train and evaluate for {experiment.name} again.",
            )
        return ranks
