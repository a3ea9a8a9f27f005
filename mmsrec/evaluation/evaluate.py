"""The test of one experiment: ranks.parquet, and metrics.json computed from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import DataError
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import Ranks, rank_among, rank_by_protocol
from mmsrec.files import write_json
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Recommender
from mmsrec.settings.evaluation import RANK_COLUMNS, Evaluation, Protocol
from mmsrec.settings.plan import Experiment

TEST = 1  # place of the test item, counted from the end of a sequence
# ranks.parquet has the ranks of both protocols, which cost as much as the ranks of one.
PROTOCOLS = ("all", "unseen")


def evaluate(
    model: Recommender, dataset: Dataset, settings: Evaluation, *, experiment: Experiment, ties: str, output: Path
) -> dict[Protocol, dict[str, float]]:
    """Ranks the last item of every sequence and writes ranks.parquet and metrics.json into `output`.

    In a data set with cold items, the users whose last item is cold are ranked, also among the cold items alone.

    Args:
        model: a trained model on the device of the sequences.
        dataset: the data set that the model was trained on.
        settings: protocols, cutoffs and number of best items to keep per user.
        experiment: the experiment, which metrics.json records.
        ties: rule that ordered the sequences, recorded in metrics.json.
        output: folder of the two files.

    Returns:
        For each protocol of the settings: Recall@k and NDCG@k of every cutoff, and MRR.

    Raises:
        DataError: the data set has cold items, and no user's last item is cold.
    """
    # The first protocol decides the best items.
    protocols = list(dict.fromkeys([*settings.candidates, *PROTOCOLS]))
    cold_C, users_U = _tested(dataset)
    sequences = dataset.sequences if cold_C is None else dataset.sequences.of_users(users_U)
    ranks: dict[Protocol, Ranks] = rank_by_protocol(model, sequences, TEST, protocols, top=settings.top)
    if cold_C is not None:
        ranks["cold"] = rank_among(model, sequences, TEST, cold_C)
    users = [dataset.users[user] for user in users_U.tolist()]
    targets = sequences.items_A[sequences.ends(TEST)].cpu().numpy()
    schema = SCHEMAS["ranks" if cold_C is None else "cold_ranks"]
    write_table(output / "ranks.parquet", _table(dataset, users, targets, ranks, protocols[0]), schema)
    asked = {name: ranks[name] for name in ranks if name in settings.candidates or name not in PROTOCOLS}
    measured = {
        name: metrics(found.rank_U.numpy(), found.ties_U.numpy(), settings.cutoffs) for name, found in asked.items()
    }
    write_json(
        output / "metrics.json",
        asdict(experiment)
        | {
            "users": len(users),
            "candidates": list(asked),
            "ties": ties,
            "metrics": measured,
            "chance": {name: chance(found.candidates_U.numpy(), settings.cutoffs) for name, found in asked.items()},
        },
    )
    return measured


def _tested(dataset: Dataset) -> tuple[Tensor | None, Tensor]:
    """The cold items, ascending, and the users to test; no cold items and all users where training knows all items."""
    last_U = dataset.sequences.items_A[dataset.sequences.ends(TEST)]
    if dataset.known_K is None:
        return None, torch.arange(len(last_U))
    is_cold_I = torch.ones(len(dataset.item_ids), dtype=torch.bool, device=last_U.device)
    is_cold_I[dataset.known_K] = False
    users_U = torch.nonzero(is_cold_I[last_U]).flatten()
    if not len(users_U):
        raise DataError(
            "No user of a split with cold items is tested.",
            expected="a sequence whose last item is in no training or validation part",
            found=f"{len(last_U):,} sequences without",
            fix="Run the stage split again.",
        )
    return torch.nonzero(is_cold_I).flatten(), users_U


def _table(
    dataset: Dataset, users: Sequence[str], targets: np.ndarray, ranks: Mapping[Protocol, Ranks], first: Protocol
) -> pa.Table:
    """One row per tested user, in the order of the sequences."""
    top = ranks[first].top_UK.numpy().astype(np.uint32)
    best = pa.FixedSizeListArray.from_arrays(pa.array(top.reshape(-1)), top.shape[1])
    columns = {
        column: values.numpy()
        for protocol, found in ranks.items()
        for column, values in zip(RANK_COLUMNS[protocol], (found.rank_U, found.ties_U), strict=True)
    }
    return pa.table(
        {
            "user": pa.array(users, pa.string()),
            "target": pa.array(dataset.item_ids, pa.string()).take(pa.array(targets)),
            **columns,
            "top": best.cast(pa.list_(pa.uint32())),
        }
    )
