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

LARGEST = 2**26  # more items than a catalogue has; a damaged rank must not fill the memory


def user_ranks(inputs: Inputs, experiment: Experiment) -> pl.DataFrame:
    """The users of an experiment in the order of their names, with the columns of `RANK_COLUMNS`.

    Raises:
        ArtifactError: the file is missing or damaged, or a rank is none.
    """
    protocols = ("all", "unseen", *inputs.params.splits[experiment.split].protocols)
    columns = ["user", *(name for protocol in protocols for name in RANK_COLUMNS[protocol])]
    path = inputs.ranks_path(experiment)
    with open_table(path, inputs.ranks_schema(experiment.split)) as file:
        table = pl.from_arrow(file.read(columns)).sort("user")
    for rank, ties in (RANK_COLUMNS[protocol] for protocol in protocols):
        best = pl.col(rank) - (pl.col(ties).cast(pl.Float64) - 1) / 2
        possible = (pl.col(ties) >= 1) & (best >= 1) & (pl.col(rank) <= LARGEST) & (pl.col(ties) <= LARGEST)
        if wrong := table.filter(~possible).height:
            raise ArtifactError(
                "A table of ranks has impossible numbers.",
                where=f"{path}: {rank}, {ties}",
                expected=f"ranks and ties from 1 to {LARGEST:,}",
                found=f"{wrong:,} of {table.height:,} rows with others",
                fix=f"Run the stage evaluate for {experiment.name} again.",
            )
    return table


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
