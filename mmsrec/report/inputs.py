"""What a report reads: the statistics of its k-cores, the metrics and the histories of its experiments."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError
from mmsrec.files import read_json
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Core, Experiment, Retrieval, cores_of, experiments_of, retrievals_of

Count = Annotated[int, Field(ge=0)]
Score = Annotated[float, Field(ge=0, le=1)]
Row = TypeVar("Row", Core, Experiment, Retrieval)


class _Written(BaseModel):
    """A JSON file of an earlier stage; keys that a report does not show are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Statistics(_Written):
    domain: str
    k_core: Count
    ties: str
    users: Count
    items: Count
    actions: Count
    sparsity: Score
    mean_length: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Metrics(_Written):
    domain: str
    k_core: Count
    variant: str
    seed: Count
    candidates: str
    ties: str
    metrics: dict[str, Score]
    chance: dict[str, Score]


class _Retrieval(_Written):
    pretraining: str
    corpus: str
    pairs: Count
    metrics: dict[str, dict[str, dict[str, float]]]
    chance: dict[str, float]


Model = TypeVar("Model", bound=_Written)

KEYS = {"domain": pl.String, "k_core": pl.Int64, "variant": pl.String, "seed": pl.Int64}
STATISTICS = {
    "domain": pl.String,
    "k_core": pl.Int64,
    "ties": pl.String,
    "users": pl.Int64,
    "items": pl.Int64,
    "actions": pl.Int64,
    "sparsity": pl.Float64,
    "mean_length": pl.Float64,
}

RETRIEVED = ("recall@1", "recall@5", "recall@10", "median_rank")


@dataclass(frozen=True)
class Inputs:
    """The rows of a report and where their files are; a file is read when a table asks for it.

    Args:
        params: the whole of params.yaml.
        report: the name of a row of `reports`.
        statistics_path: the statistics.json of a k-core.
        metrics_path: the metrics.json of an experiment.
        history_path: the history.parquet of an experiment.
        retrieval_path: the metrics.json of a retrieval.
    """

    params: Params
    report: str
    statistics_path: Callable[[Core], Path]
    metrics_path: Callable[[Experiment], Path]
    history_path: Callable[[Experiment], Path]
    retrieval_path: Callable[[Retrieval], Path]

    @property
    def experiments(self) -> list[Experiment]:
        return experiments_of(self.params, self.report)

    def statistics(self) -> pl.DataFrame:
        """One row a k-core, with the columns of `STATISTICS`.

        Raises:
            ArtifactError: a file is missing, damaged or of other parameters.
        """
        files = _present(self.statistics_path, cores_of(self.params, self.report), "prepare")
        rows = [self._statistics(core, path).model_dump() for core, path in files.items()]
        return pl.DataFrame(rows, schema=STATISTICS)

    def metrics(self) -> pl.DataFrame:
        """One row an experiment: `KEYS`, each metric by its name, and its value by chance as METRIC_chance.

        Raises:
            ArtifactError: a file is missing, damaged or of other parameters.
        """
        names = metric_names(self.params)
        files = _present(self.metrics_path, self.experiments, "evaluate")
        rows = []
        for experiment, path in files.items():
            read = self._metrics(experiment, path)
            chance = {f"{name}_chance": read.chance[name] for name in names}
            rows.append(_keys(experiment) | {name: read.metrics[name] for name in names} | chance)
        scores = {column: pl.Float64 for name in names for column in (name, f"{name}_chance")}
        return pl.DataFrame(rows, schema=KEYS | scores)

    def histories(self) -> pl.DataFrame:
        """One row an epoch of an experiment: `KEYS` and the columns of the artifact `history`.

        Raises:
            ArtifactError: a file is missing, damaged or does not follow its schema.
        """
        schema = SCHEMAS["history"]
        files = _present(self.history_path, self.experiments, "train")
        parts = [
            pl.from_arrow(read_table(path, schema)).select(*_literals(experiment), *schema.names)
            for experiment, path in files.items()
        ]
        empty = pl.DataFrame(schema=KEYS | dict(pl.from_arrow(schema.empty_table()).schema))
        return pl.concat([empty, *parts])

    def retrievals(self) -> pl.DataFrame:
        """One row a retrieval, model and direction: these, pairs, and the metrics of `RETRIEVED`.

        Besides the models of the file, `chance` is what a random ranking is expected to reach.

        Raises:
            ArtifactError: a file is missing or damaged.
        """
        files = _present(self.retrieval_path, retrievals_of(self.params, self.report), "evaluate_retrieval")
        rows = []
        for retrieval, path in files.items():
            read = _read(path, _Retrieval)
            expected = {"pretraining": retrieval.pretraining, "corpus": retrieval.corpus}
            _check(path, read.model_dump(), expected, f"Run the stage evaluate_retrieval for {retrieval.name} again.")
            by_chance = dict.fromkeys(next(iter(read.metrics.values())), read.chance)
            for model, directions in {"chance": by_chance, **read.metrics}.items():
                for direction, values in directions.items():
                    measured = {name: values[name] for name in RETRIEVED}
                    rows.append(expected | {"model": model, "direction": direction, "pairs": read.pairs} | measured)
        named = dict.fromkeys(("corpus", "pretraining", "direction", "model"), pl.String) | {"pairs": pl.Int64}
        return pl.DataFrame(rows, schema=named | dict.fromkeys(RETRIEVED, pl.Float64))

    def _statistics(self, core: Core, path: Path) -> _Statistics:
        read = _read(path, _Statistics)
        expected = {"domain": core.domain, "k_core": core.k_core, "ties": self.params.domains[core.domain].ties}
        _check(path, read.model_dump(), expected, f"Run the stage prepare for {core.name} again.")
        return read

    def _metrics(self, experiment: Experiment, path: Path) -> _Metrics:
        read = _read(path, _Metrics)
        names = metric_names(self.params)
        expected = _keys(experiment) | {
            "candidates": self.params.evaluation.candidates,
            "ties": self.params.domains[experiment.domain].ties,
            "metrics": names,
            "chance": names,
        }
        found = read.model_dump() | {
            "metrics": [name for name in names if name in read.metrics],
            "chance": [name for name in names if name in read.chance],
        }
        _check(path, found, expected, f"Run the stage evaluate for {experiment.name} again.")
        return read


def metric_names(params: Params) -> list[str]:
    """The metrics that `evaluation` asks for, in the order in which tables show them."""
    cutoffs = params.evaluation.cutoffs
    return [*(f"{family}@{cutoff}" for family in ("recall", "ndcg") for cutoff in cutoffs), "mrr"]


def _keys(experiment: Experiment) -> dict[str, Any]:
    return {name: getattr(experiment, name) for name in KEYS}


def _literals(experiment: Experiment) -> list[pl.Expr]:
    return [pl.lit(value, KEYS[name]).alias(name) for name, value in _keys(experiment).items()]


def _present(path_of: Callable[[Row], Path], rows: Iterable[Row], stage: str) -> dict[Row, Path]:
    files = {row: path_of(row) for row in rows}
    missing = {row: path for row, path in files.items() if not path.is_file()}
    if missing:
        raise ArtifactError(
            f"The report needs {len(files)} files of the stage {stage}; {len(missing)} are missing.",
            where="".join(f"\n    {path}" for path in missing.values()),
            fix=f"Run the stage {stage} for {', '.join(row.name for row in missing)}.",
        )
    return files


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise ArtifactError(
            "A result does not have the keys and values of its artifact.",
            where=path,
            found="; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()),
            fix="Delete it and run the stage that writes it.",
        ) from error


def _check(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], fix: str) -> None:
    wrong = [key for key in expected if found[key] != expected[key]]
    if wrong:
        raise ArtifactError(
            "A result is of other parameters than those of the report.",
            where=path,
            expected={key: expected[key] for key in wrong},
            found={key: found[key] for key in wrong},
            fix=fix,
        )
