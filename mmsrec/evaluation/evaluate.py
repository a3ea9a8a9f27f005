"""One experiment's test: ranks.parquet, and metrics.json computed from it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import rank
from mmsrec.files import write_json
from mmsrec.models.recommender import Recommender
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.evaluation import Evaluation
from mmsrec.settings.plan import Experiment

TEST = 1  # place of the test item, counted from the end of a sequence


def evaluate(
    model: Recommender,
    sequences: Sequences,
    settings: Evaluation,
    *,
    users: Sequence[str],
    item_ids: Sequence[str],
    experiment: Experiment,
    ties: str,
    output: Path,
) -> dict[str, float]:
    """Ranks the last item of every sequence and writes ranks.parquet and metrics.json into `output`.

    Args:
        model: trained, on the device of the sequences.
        sequences: of all users.
        settings: candidates, cutoffs and how many of the best items are kept.
        users: names in the order of the sequences.
        item_ids: names in the order of the item indices.
        experiment: named in metrics.json.
        ties: rule by which the sequences were ordered, named in metrics.json.
        output: folder of the two files.

    Returns:
        The metrics.
    """
    ranks = rank(model, sequences, TEST, candidates=settings.candidates, top=settings.top)
    targets = sequences.items_A[sequences.ends(TEST)].cpu().numpy()
    top = ranks.top_UK.numpy().astype(np.uint32)
    table = pa.table(
        {
            "user": pa.array(users, pa.string()),
            "target": pa.array(item_ids, pa.string()).take(pa.array(targets)),
            "rank": ranks.rank_U.numpy(),
            "ties": ranks.ties_U.numpy(),
            "top": pa.FixedSizeListArray.from_arrays(pa.array(top.reshape(-1)), top.shape[1]).cast(
                pa.list_(pa.uint32())
            ),
        }
    )
    write_table(output / "ranks.parquet", table, SCHEMAS["ranks"])
    measured = metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), settings.cutoffs)
    write_json(
        output / "metrics.json",
        asdict(experiment)
        | {
            "users": len(users),
            "candidates": settings.candidates,
            "ties": ties,
            "metrics": measured,
            "chance": chance(ranks.candidates_U.numpy(), settings.cutoffs),
        },
    )
    return measured
