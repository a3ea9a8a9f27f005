"""The test of one experiment: ranks.parquet, and metrics.json computed from it."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import Ranks, rank
from mmsrec.files import write_json
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Recommender
from mmsrec.settings.evaluation import Evaluation
from mmsrec.settings.plan import Experiment

TEST = 1  # place of the test item, counted from the end of a sequence


def evaluate(
    model: Recommender, dataset: Dataset, settings: Evaluation, *, experiment: Experiment, ties: str, output: Path
) -> dict[str, float]:
    """Ranks the last item of every sequence and writes ranks.parquet and metrics.json into `output`.

    Args:
        model: a trained model on the device of the sequences.
        dataset: the data set that the model was trained on.
        settings: candidates, cutoffs and number of best items to keep per user.
        experiment: the experiment, which metrics.json records.
        ties: rule that ordered the sequences, recorded in metrics.json.
        output: folder of the two files.

    Returns:
        Recall@k and NDCG@k of every cutoff, and MRR.
    """
    ranks = rank(model, dataset.sequences, TEST, candidates=settings.candidates, top=settings.top)
    write_table(output / "ranks.parquet", _table(dataset, ranks), SCHEMAS["ranks"])
    measured = metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), settings.cutoffs)
    write_json(
        output / "metrics.json",
        asdict(experiment)
        | {
            "users": len(dataset.users),
            "candidates": settings.candidates,
            "ties": ties,
            "metrics": measured,
            "chance": chance(ranks.candidates_U.numpy(), settings.cutoffs),
        },
    )
    return measured


def _table(dataset: Dataset, ranks: Ranks) -> pa.Table:
    """One row per user, in the order of the sequences."""
    sequences = dataset.sequences
    targets = sequences.items_A[sequences.ends(TEST)].cpu().numpy()
    top = ranks.top_UK.numpy().astype(np.uint32)
    best = pa.FixedSizeListArray.from_arrays(pa.array(top.reshape(-1)), top.shape[1])
    return pa.table(
        {
            "user": pa.array(dataset.users, pa.string()),
            "target": pa.array(dataset.item_ids, pa.string()).take(pa.array(targets)),
            "rank": ranks.rank_U.numpy(),
            "ties": ranks.ties_U.numpy(),
            "top": best.cast(pa.list_(pa.uint32())),
        }
    )
