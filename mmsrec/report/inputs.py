"""The tables that exhibits start from: statistics, metrics, histories, ranks and retrievals of a report's rows."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, open_table, read_table
from mmsrec.report.stored_results import (
    MetricsResult,
    RetrievalResult,
    Row,
    StatisticsResult,
    check,
    keys_of,
    present,
    read_result,
)
from mmsrec.settings.layouts import RETRIEVED
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Core, Cut, Experiment, Retrieval, cores_of, experiments_of, retrievals_of

COLUMN_TYPES = {str: pl.String, int: pl.Int64}


def _columns(row: type[Row]) -> dict[str, pl.DataType]:
    return {name: COLUMN_TYPES[kind] for name, kind in keys_of(row).items()}


# The columns that name an experiment: the fields of `Experiment`, whatever they are.
KEYS = _columns(Experiment)
CANDIDATES = "candidates"
NOT_RUN = "not run"
STATISTICS = _columns(Core) | {
    "users": pl.Int64,
    "items": pl.Int64,
    "actions": pl.Int64,
    "sparsity": pl.Float64,
    "mean_length": pl.Float64,
    "missing": pl.String,
}


@dataclass(frozen=True)
class Inputs:
    """The rows of a report and the paths of their files; a file is read when an exhibit asks for it.

    Args:
        params: the whole of params.yaml.
        report: the name of a row of `reports`.
        statistics_path: the statistics.json of a k-core.
        metrics_path: the metrics.json of an experiment.
        history_path: the history.parquet of an experiment.
        ranks_path: the ranks.parquet of an experiment.
        retrieval_path: the metrics.json of a retrieval.
        sequences_path: the sequences.parquet of a data set.
        partial: whether rows without their file are left out; otherwise they are an error.
        earlier: numbers of experiments whose files are on another machine, from `mmsrec.report.runs`; None for none.
    """

    params: Params
    report: str
    statistics_path: Callable[[Core], Path]
    metrics_path: Callable[[Experiment], Path]
    history_path: Callable[[Experiment], Path]
    ranks_path: Callable[[Experiment], Path]
    retrieval_path: Callable[[Retrieval], Path]
    sequences_path: Callable[[Cut], Path]
    partial: bool = False
    earlier: pl.DataFrame | None = None

    @property
    def experiments(self) -> list[Experiment]:
        return experiments_of(self.params, self.report)

    def finished(self, experiments: Iterable[Experiment]) -> list[Experiment]:
        """The experiments whose results exist.

        Raises:
            ArtifactError: a result is missing, and the report is not partial.
        """
        return list(self._present(self.metrics_path, experiments, "evaluate"))

    def absence(self, row: Core | Experiment | Retrieval) -> str:
        """The reason why a report shows no result of a row."""
        return self.params.reports[self.report].absence(row) or NOT_RUN

    def statistics(self) -> pl.DataFrame:
        """One row for each k-core, with the columns of `STATISTICS`; nothing is missing.

        Raises:
            ArtifactError: a file is missing, damaged or made with other parameters.
        """
        files = self._present(self.statistics_path, cores_of(self.params, self.report), "prepare")
        rows = []
        for core, path in files.items():
            found = read_result(path, StatisticsResult).model_dump()
            check(path, found, asdict(core), f"Run the stage prepare for {core.name} again.")
            rows.append(found)
        return pl.DataFrame(rows, schema=STATISTICS)

    def metrics(self) -> pl.DataFrame:
        """The rows of `measured_here`, and those of `earlier` for experiments without files; these have no chance.

        Raises:
            ArtifactError: a file is missing, damaged or made with other parameters.
        """
        here = self.measured_here()
        if self.earlier is None:
            return here
        named = pl.DataFrame([asdict(row) for row in self.experiments], schema=KEYS)
        others = self.earlier.join(here, on=list(KEYS), how="anti", maintain_order="left")
        asked = others.join(named, on=list(KEYS), how="semi", maintain_order="left")
        return pl.concat([here, asked.select(*KEYS, CANDIDATES, *metric_names(self.params))], how="diagonal")

    def measured_here(self) -> pl.DataFrame:
        """One row an experiment and protocol: `KEYS`, candidates, each metric, and its chance.

        A metric has its name, and a random ranking's value is METRIC_chance. The column candidates is the protocol.

        Raises:
            ArtifactError: a file is missing, damaged or made with other parameters.
        """
        names = metric_names(self.params)
        files = self._present(self.metrics_path, self.experiments, "evaluate")
        rows = []
        for experiment, path in files.items():
            read = self._metrics(experiment, path)
            for candidates in self.params.protocols_of(experiment.split):
                measured, by_chance = read.metrics[candidates], read.chance[candidates]
                chance = {f"{name}_chance": by_chance[name] for name in names}
                keys = asdict(experiment) | {CANDIDATES: candidates}
                rows.append(keys | {name: measured[name] for name in names} | chance)
        scores = {column: pl.Float64 for name in names for column in (name, f"{name}_chance")}
        return pl.DataFrame(rows, schema=KEYS | {CANDIDATES: pl.String} | scores)

    def histories(self) -> pl.DataFrame:
        """One row for each epoch of an experiment: `KEYS` and the columns of the artifact `history`.

        Raises:
            ArtifactError: a file is missing, damaged or does not follow its schema.
        """
        schema = SCHEMAS["history"]
        files = self._present(self.history_path, self.experiments, "train")
        parts = [
            pl.from_arrow(read_table(path, schema)).select(*_literals(experiment), *schema.names)
            for experiment, path in files.items()
        ]
        return pl.concat([_empty("history"), *parts])

    def ranks(self) -> pl.LazyFrame:
        """One row a test user of an experiment: `KEYS` and the columns of the artifact `ranks`.

        Rows of sequences with cold items have the columns of `cold_ranks`, too; they are null in other rows.

        The schema of every file is checked now. The rows are read when the result is collected, and of a file only
        the columns that the query uses: `top` is most of it.

        Raises:
            ArtifactError: a file is missing, damaged or does not follow its schema.
        """
        files = self._present(self.ranks_path, self.experiments, "evaluate")
        parts = []
        for experiment, path in files.items():
            schema = self.ranks_schema(experiment.split)
            open_table(path, schema).close()
            parts.append(pl.scan_parquet(path).select(*_literals(experiment), *schema.names))
        return pl.concat([_empty("ranks").lazy(), *parts], how="diagonal")

    def ranks_schema(self, split: str) -> pa.Schema:
        """The schema of the ranks.parquet of experiments on a split."""
        return SCHEMAS[self.params.splits[split].ranks]

    def sequences(self, cut: Cut) -> Path | None:
        """The file of the sequences of a data set; None for a partial report without it.

        Raises:
            ArtifactError: the file is missing, and the report is not partial.
        """
        return self._present(self.sequences_path, [cut], "split").get(cut)

    def retrievals(self) -> pl.DataFrame:
        """One row a retrieval, model and direction: their names, pairs, and the metrics of `RETRIEVED`.

        The model `chance` is added to the models of the file: the expected values of a random ranking.

        Raises:
            ArtifactError: a file is missing, damaged or made with other parameters.
        """
        files = self._present(self.retrieval_path, retrievals_of(self.params, self.report), "evaluate_retrieval")
        rows = []
        for retrieval, path in files.items():
            read, keys = read_result(path, RetrievalResult), asdict(retrieval)
            check(path, read.model_dump(), keys, f"Run the stage evaluate_retrieval for {retrieval.name} again.")
            by_chance = dict.fromkeys(next(iter(read.metrics.values())), read.chance)
            for model, directions in {"chance": by_chance, **read.metrics}.items():
                for direction, values in directions.items():
                    named = {"model": model, "direction": direction, "pairs": read.pairs}
                    rows.append(keys | named | values.model_dump())
        names = dict.fromkeys(("corpus", "pretraining", "direction", "model"), pl.String) | {"pairs": pl.Int64}
        return pl.DataFrame(rows, schema=names | dict.fromkeys(RETRIEVED, pl.Float64))

    def _present(self, path_of: Callable[[Row], Path], rows: Iterable[Row], stage: str) -> dict[Row, Path]:
        kept = [row for row in rows if path_of(row).is_file()] if self.partial else rows
        return present(path_of, kept, stage)

    def _metrics(self, experiment: Experiment, path: Path) -> MetricsResult:
        read = read_result(path, MetricsResult)
        names = metric_names(self.params)
        protocols = self.params.protocols_of(experiment.split)
        expected = asdict(experiment) | {
            CANDIDATES: protocols,
            "ties": tie_rule(self.params, experiment),
            "metrics": dict.fromkeys(protocols, names),
            "chance": dict.fromkeys(protocols, names),
        }
        found = read.model_dump() | {
            part: {protocol: [name for name in names if name in values.get(protocol, {})] for protocol in protocols}
            for part, values in (("metrics", read.metrics), ("chance", read.chance))
        }
        check(path, found, expected, f"Run the stage evaluate for {experiment.name} again.")
        return read


def metric_names(params: Params) -> list[str]:
    """The metrics that `evaluation` asks for, in the order in which tables show them."""
    return params.evaluation.metrics


def tie_rule(params: Params, experiment: Experiment) -> str:
    """The order of a user's actions with equal timestamps, in the sequences of an experiment."""
    return params.splits[experiment.split].ties


def _literals(experiment: Experiment) -> list[pl.Expr]:
    return [pl.lit(value, KEYS[name]).alias(name) for name, value in asdict(experiment).items()]


def _empty(artifact: str) -> pl.DataFrame:
    return pl.DataFrame(schema=KEYS | dict(pl.from_arrow(SCHEMAS[artifact].empty_table()).schema))
