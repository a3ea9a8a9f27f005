"""The numbers of a report as JSON files, for tools that compare runs in tables and plots.

They hold no times, so that equal results give equal bytes on any machine. They are no CSV, because DVC reads its
numbers as texts and sorts epoch 10 before epoch 2.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from mmsrec.files import atomic_folder
from mmsrec.report.experiment_groups import COMPARED
from mmsrec.report.inputs import CANDIDATES, KEYS, Inputs, metric_names
from mmsrec.report.seeds import over_seeds
from mmsrec.settings.plan import Cut, Experiment

VALIDATION = "recall@10"
CUT = ["domain", "k_core", "split"]


def scores(inputs: Inputs) -> dict[str, str]:
    """A file for each finished experiment: each protocol with its metrics on the test items."""
    names = metric_names(inputs.params)
    found: dict[Experiment, dict[str, dict[str, float]]] = {}
    for row in inputs.metrics().to_dicts():
        experiment = Experiment(**{name: row[name] for name in KEYS})
        found.setdefault(experiment, {})[row[CANDIDATES]] = {name: row[name] for name in names}
    return {f"{experiment.name}.json": _text(values) for experiment, values in found.items()}


def learning_curves(inputs: Inputs) -> dict[str, str]:
    """A file for each data set: the validation Recall@10 after each epoch of its trainings."""
    rows = inputs.histories().drop_nulls(VALIDATION)
    return _by_cut(rows, ["variant", "seed", "epoch", VALIDATION])


def score_bars(inputs: Inputs) -> dict[str, str]:
    """A file for each data set: the mean of each metric over the seeds of a variant, one value a row."""
    names = metric_names(inputs.params)
    means = over_seeds(inputs.metrics(), COMPARED, names)
    measured = means.rename({f"{name}_measured": name for name in names})
    rows = measured.unpivot(names, index=COMPARED, variable_name="metric", value_name="score")
    return _by_cut(rows, ["variant", CANDIDATES, "metric", "score"])


# The files of each kind by name. A kind has a separate folder, because its files have one form.
KINDS: Mapping[str, Callable[[Inputs], dict[str, str]]] = {
    "metrics": scores,
    "curves": learning_curves,
    "bars": score_bars,
}


def write_numbers(inputs: Inputs, folder_of: Callable[[str], Path]) -> None:
    """Writes the files of every kind into the kind's folder, which is replaced as a whole.

    Raises:
        ArtifactError: an input is missing, damaged or made with other parameters.
    """
    for kind, files_of in KINDS.items():
        files = files_of(inputs)
        with atomic_folder(folder_of(kind)) as folder:
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")


def _by_cut(rows: pl.DataFrame, columns: list[str]) -> dict[str, str]:
    groups = rows.group_by(CUT, maintain_order=True)
    return {f"{Cut(*key).name}.json": _text(group.select(columns).to_dicts()) for key, group in groups}


def _text(value: object) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
