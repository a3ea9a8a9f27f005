"""Each test user's value of a metric, averaged over the seeds of a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from mmsrec.artifacts import SCHEMAS, open_table
from mmsrec.errors import ArtifactError
from mmsrec.evaluation.metrics import gains
from mmsrec.report.inputs import CANDIDATES, Inputs
from mmsrec.settings.layouts import ScoreLayout
from mmsrec.settings.plan import Cut, Experiment

# The columns of ranks.parquet under each protocol.
RANKS = {"all": ("rank", "ties"), "unseen": ("unseen_rank", "unseen_ties")}
COLUMNS = ["user", *(name for pair in RANKS.values() for name in pair)]


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
        rank, ties = RANKS[keys[CANDIDATES]]
        found = self._inputs.finished(self._experiments[cut, label])
        if len(found) < seeds:
            return None
        tables = [self._read(row) for row in found]
        values = [gains(table[rank].to_numpy(), table[ties].to_numpy(), keys["metric"]) for table in tables]
        return np.mean(values, axis=0)

    def _read(self, experiment: Experiment) -> pl.DataFrame:
        if experiment not in self._ranks:
            path = self._inputs.ranks_path(experiment)
            with open_table(path, SCHEMAS["ranks"]) as file:
                table = pl.from_arrow(file.read(COLUMNS)).sort("user")
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
