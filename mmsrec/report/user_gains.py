"""Each test user's value of a metric, averaged over the seeds of a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from mmsrec.artifacts import open_table
from mmsrec.errors import ArtifactError
from mmsrec.evaluation.metrics import gains
from mmsrec.report.inputs import CANDIDATES, Inputs
from mmsrec.settings.evaluation import RANK_COLUMNS
from mmsrec.settings.layouts import ScoreLayout
from mmsrec.settings.plan import Cut, Experiment


def user_ranks(inputs: Inputs, experiment: Experiment) -> pl.DataFrame:
    """The users of an experiment in the order of their names, with the columns of `RANK_COLUMNS`.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    protocols = ("all", "unseen", *inputs.params.splits[experiment.split].protocols)
    columns = ["user", *(name for protocol in protocols for name in RANK_COLUMNS[protocol])]
    with open_table(inputs.ranks_path(experiment), inputs.ranks_schema(experiment.split)) as file:
        return pl.from_arrow(file.read(columns)).sort("user")


class UserGains:
    """The values of the users in the results of a layout. A file of ranks is read once."""

    def __init__(self, inputs: Inputs, layout: ScoreLayout) -> None:
        self._inputs = inputs
        self._experiments = {(cut, model.label): rows for cut, model, rows in layout.cells()}
        self._ranks: dict[Experiment, pl.DataFrame] = {}

    def of(self, keys: Mapping[str, Any], label: str, seeds: int) -> np.ndarray | None:
        """The mean over the measured seeds of each user's value [U], in the order of the users' names.

        Args:
            keys: domain, k_core, split, candidates and metric.
            label: the model.
            seeds: number of measured seeds.

        Returns:
            None if the ranks of a measured seed are on another machine.

        Raises:
            ArtifactError: a file of ranks is missing or damaged, or the users of two files differ.
        """
        cut = Cut(keys["domain"], keys["k_core"], keys["split"])
        rank, ties = RANK_COLUMNS[keys[CANDIDATES]]
        found = self._inputs.finished(self._experiments[cut, label])
        if len(found) < seeds:
            return None
        tables = [self._read(row) for row in found]
        values = [gains(table[rank].to_numpy(), table[ties].to_numpy(), keys["metric"]) for table in tables]
        return np.mean(values, axis=0)

    def _read(self, experiment: Experiment) -> pl.DataFrame:
        if experiment not in self._ranks:
            path, table = self._inputs.ranks_path(experiment), user_ranks(self._inputs, experiment)
            for other, known in self._ranks.items():
                if other.cut == experiment.cut and not known["user"].equals(table["user"]):
                    raise ArtifactError(
                        "Two results of one data set rank other users.",
                        where=path,
                        expected=f"the users of {other.name}",
                        fix=f"Run the stage evaluate for {experiment.name} and {other.name} again.",
                    )
            self._ranks[experiment] = table
        return self._ranks[experiment]
