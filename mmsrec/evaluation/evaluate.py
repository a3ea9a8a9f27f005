"""The test of one experiment: ranks.parquet, and metrics.json computed from it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import Ranks, rank_by_protocol
from mmsrec.files import write_json
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Recommender
from mmsrec.settings.evaluation import Candidates, Evaluation
from mmsrec.settings.plan import Experiment

TEST = 1  # place of the test item, counted from the end of a sequence
# ranks.parquet has the ranks of both protocols, which cost as much as the ranks of one.
PROTOCOLS = get_args(Candidates)


def evaluate(
    model: Recommender, dataset: Dataset, settings: Evaluation, *, experiment: Experiment, ties: str, output: Path
) -> dict[Candidates, dict[str, float]]:
    """Ranks the last item of every sequence and writes ranks.parquet and metrics.json into `output`.

    Args:
        model: a trained model on the device of the sequences.
        dataset: the data set that the model was trained on.
        settings: protocols, cutoffs and number of best items to keep per user.
        experiment: the experiment, which metrics.json records.
        ties: rule that ordered the sequences, recorded in metrics.json.
        output: folder of the two files.

    Returns:
        For each protocol of the settings: Recall@k and NDCG@k of every cutoff, and MRR.
    """
    # The first protocol decides the best items.
    protocols = list(dict.fromkeys([*settings.candidates, *PROTOCOLS]))
    ranks = rank_by_protocol(model, dataset.sequences, TEST, protocols, top=settings.top)
    write_table(output / "ranks.parquet", _table(dataset, ranks, protocols[0]), SCHEMAS["ranks"])
    asked = {name: ranks[name] for name in settings.candidates}
    measured = {
        name: metrics(found.rank_U.numpy(), found.ties_U.numpy(), settings.cutoffs) for name, found in asked.items()
    }
    write_json(
        output / "metrics.json",
        asdict(experiment)
        | {
            "users": len(dataset.users),
            "candidates": settings.candidates,
            "ties": ties,
            "metrics": measured,
            "chance": {name: chance(found.candidates_U.numpy(), settings.cutoffs) for name, found in asked.items()},
        },
    )
    return measured


def _table(dataset: Dataset, ranks: Mapping[Candidates, Ranks], first: Candidates) -> pa.Table:
    """One row per user, in the order of the sequences."""
    sequences = dataset.sequences
    targets = sequences.items_A[sequences.ends(TEST)].cpu().numpy()
    top = ranks[first].top_UK.numpy().astype(np.uint32)
    best = pa.FixedSizeListArray.from_arrays(pa.array(top.reshape(-1)), top.shape[1])
    return pa.table(
        {
            "user": pa.array(dataset.users, pa.string()),
            "target": pa.array(dataset.item_ids, pa.string()).take(pa.array(targets)),
            "rank": ranks["all"].rank_U.numpy(),
            "ties": ranks["all"].ties_U.numpy(),
            "unseen_rank": ranks["unseen"].rank_U.numpy(),
            "unseen_ties": ranks["unseen"].ties_U.numpy(),
            "top": best.cast(pa.list_(pa.uint32())),
        }
    )
