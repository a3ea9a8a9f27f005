"""The finished experiments of a report as one table of numbers, which outlives the results' files."""

import json
import logging
from hashlib import sha256
from pathlib import Path

import polars as pl

from mmsrec.errors import ArtifactError
from mmsrec.report.inputs import CANDIDATES, KEYS, Inputs, metric_names
from mmsrec.settings.params import Params
from mmsrec.settings.plan import Experiment
from mmsrec.settings.stage_settings import experiment_settings

logger = logging.getLogger(__name__)

# Digits after the point that are kept; two of them are below the spread over seeds.
DIGITS = 6
SETTINGS = "settings"
DIGEST_LENGTH = 16
TRAINED = {
    "epochs": pl.Int64,
    "best_epoch": pl.Int64,
    "validation_recall@10": pl.Float64,
    "training_seconds": pl.Float64,
}


def runs_frame(inputs: Inputs) -> pl.DataFrame:
    """One row for each finished experiment and protocol, and the rows of `inputs.earlier` for the other experiments.

    Returns:
        The fields of an experiment, candidates (the protocol), each metric, and the following columns. The columns of
        the training are null for a model without epochs. The recall is null for a training without validation.

        - epochs: number of epochs.
        - best_epoch, validation_recall@10: the epoch with the best validation, and its Recall@10.
        - training_seconds: time of all epochs.
        - settings: digest of the settings that decided the numbers.
    """
    metrics = metric_names(inputs.params)
    keys = list(KEYS)
    trained = (
        inputs.histories()
        .group_by(keys, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("epochs"),
            pl.col("epoch").cast(pl.Int64).get(pl.col("recall@10").arg_max()).alias("best_epoch"),
            pl.col("recall@10").max().alias("validation_recall@10"),
            pl.col("seconds").sum().round(1).alias("training_seconds"),
        )
    )
    here = inputs.measured_here().select(*keys, CANDIDATES, *metrics)
    found = here.join(trained, on=keys, how="left", maintain_order="left").with_columns(
        pl.col(*metrics, "validation_recall@10").round(DIGITS),
        pl.Series(SETTINGS, [_digest_of(inputs.params, row) for row in here.select(keys).to_dicts()], pl.String),
    )
    if inputs.earlier is None:
        return found
    return pl.concat([found, inputs.earlier.join(here, on=keys, how="anti", maintain_order="left")])


def unfinished(inputs: Inputs) -> list[Experiment]:
    """The experiments of a partial report that have numbers neither here nor in `inputs.earlier`."""
    known = inputs.metrics().select(list(KEYS)).unique().rows()
    finished = {Experiment(*row) for row in known}
    return [row for row in inputs.experiments if row not in finished]


def read_runs(path: Path, params: Params) -> pl.DataFrame:
    """Reads a table of `runs_frame`; rows that were made with other settings than today's are left out and logged.

    Raises:
        ArtifactError: the file is missing, is no CSV, or has other columns.
    """
    schema = KEYS | {CANDIDATES: pl.String} | dict.fromkeys(metric_names(params), pl.Float64) | TRAINED
    schema |= {SETTINGS: pl.String}
    try:
        runs = pl.read_csv(path, schema_overrides=schema)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ArtifactError("A table of runs cannot be read.", where=path, found=error) from error
    if runs.columns != list(schema):
        raise ArtifactError(
            "A table of runs has other columns.",
            where=path,
            expected=", ".join(schema),
            found=", ".join(runs.columns),
            fix="Name a file that export_runs.py wrote with the same metrics.",
        )
    valid = [row[SETTINGS] == _digest_of(params, row) for row in runs.to_dicts()]
    if not all(valid):
        logger.warning("%s: %d rows were made with other settings, and are left out", path, valid.count(False))
    return runs.filter(pl.Series(valid, dtype=pl.Boolean))


def _digest_of(params: Params, row: dict[str, object]) -> str | None:
    """A digest of the settings of an experiment; None for one whose rows are no longer in the parameters."""
    experiment = Experiment(**{name: row[name] for name in KEYS})
    known = (params.domains, params.splits, params.variants)
    names = (experiment.domain, experiment.split, experiment.variant)
    if any(name not in rows for name, rows in zip(names, known, strict=True)):
        return None
    settings = {
        "training": experiment_settings(params, experiment),
        "split": params.splits[experiment.split].model_dump(mode="json"),
    }
    text = json.dumps(settings, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
