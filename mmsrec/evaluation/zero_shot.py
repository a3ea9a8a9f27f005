"""Zero-shot retrieval (Section 4.1.2 of the paper): a text ranks the videos of a corpus, and a video its texts."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import FeatureError
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import Ranks, rank_vectors
from mmsrec.files import write_json
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.threads import in_threads
from mmsrec.nn.transformer import device_of
from mmsrec.nn.views import Items, encode_views
from mmsrec.pairs.read import PairBatch, Pairs

logger = logging.getLogger(__name__)

CUTOFFS = [1, 5, 10]
CHUNK = 1024  # pairs encoded together


class Vectors(NamedTuple):
    """Unit vectors [N, D] of both sides of N pairs."""

    video: Tensor
    text: Tensor


def evaluate_retrieval(
    pairs: Pairs, encoders: Mapping[str, ItemEncoder], description: Mapping[str, object], output: Path
) -> dict[str, dict[str, dict[str, float]]]:
    """Ranks the other side of every pair and writes metrics.json and ranks.parquet into `output`.

    A pair without a video or without a text is left out and counted. A video with several captions is several pairs of
    the corpus; their equal scores share the mean of their ranks.

    Args:
        pairs: pairs of the test corpus.
        encoders: item encoders, by the name of the model in both files.
        description: further keys of metrics.json.
        output: folder of the two files.

    Returns:
        Metrics by model and direction. The model `encoder` is the cosine of the frozen encoder's own vectors; it is
        missing if they differ in width between vision and text.

    Raises:
        FeatureError: no pair has both sides, or a pair occurs twice.
    """
    ids, batch, left_out = _whole_pairs(pairs)
    vectors = {name: encoded(encoder, batch) for name, encoder in encoders.items()}
    if pairs.widths["vision"] == pairs.widths["text"]:
        vectors["encoder"] = stored(batch)
    ranks = {name: _both_directions(sides) for name, sides in vectors.items()}
    measured = {
        name: {direction: _metrics(found) for direction, found in directions.items()}
        for name, directions in ranks.items()
    }
    write_table(output / "ranks.parquet", _table(ids, ranks), SCHEMAS["retrieval_ranks"])
    expected = chance(np.array([len(ids)]), CUTOFFS)
    write_json(
        output / "metrics.json",
        dict(description)
        | {
            "pairs": len(ids),
            "left_out": left_out,
            "metrics": measured,
            "chance": {name: expected[name] for name in _recalls()} | {"median_rank": (len(ids) + 1) / 2},
        },
    )
    return measured


@torch.no_grad()
def encoded(encoder: ItemEncoder, batch: PairBatch) -> Vectors:
    """The vectors that an item encoder computes from each side alone, without dropout."""
    encoder.eval()
    device = device_of(encoder)

    def views(start: int) -> dict[str, Tensor]:
        items = Items.of(batch.rows(slice(start, start + CHUNK)), device)
        return encode_views(encoder, items, ["v", "t"])

    parts = list(in_threads(views, range(0, len(batch.vision), CHUNK), device))
    return Vectors(*(torch.cat([part[view] for part in parts]) for view in ("v", "t")))


def stored(batch: PairBatch) -> Vectors:
    """The frozen encoder's own vectors."""
    return Vectors(*(F.normalize(torch.from_numpy(side).float(), dim=1) for side in (batch.vision, batch.text)))


def _whole_pairs(pairs: Pairs) -> tuple[list[str], PairBatch, int]:
    """The ids and features of pairs with both sides, and the number of the other pairs."""
    ids, batch = pairs.read_all()
    if len(set(ids)) < len(ids):
        raise FeatureError(
            "A pair occurs more than once in a test corpus.",
            where=pairs.folder,
            expected="each pair_id once",
            found=f"{len(ids):,} pairs of {len(set(ids)):,} ids",
            fix="Give every pair of a video and a caption its own id.",
        )
    rows = np.flatnonzero(batch.vision_present & batch.text_present)
    if not len(rows):
        raise FeatureError(
            "No pair of a test corpus has both a video and a text.",
            where=pairs.folder,
            expected="a pair with features of both",
            found=f"{len(ids):,} pairs, each without one of them",
            fix="Encode the missing modality, or name another corpus.",
        )
    if len(rows) < len(ids):
        logger.warning("%d of %d pairs lack a video or a text and are left out", len(ids) - len(rows), len(ids))
    return [ids[row] for row in rows], batch.rows(rows), len(ids) - len(rows)


def _both_directions(sides: Vectors) -> dict[str, Ranks]:
    own = torch.arange(len(sides.video), device=sides.video.device)
    return {
        "text_to_video": rank_vectors(sides.text, sides.video, own),
        "video_to_text": rank_vectors(sides.video, sides.text, own),
    }


def _metrics(ranks: Ranks) -> dict[str, float]:
    rank = ranks.rank_U.numpy()
    means = metrics(rank, ranks.ties_U.numpy(), CUTOFFS)
    return {name: means[name] for name in _recalls()} | {"median_rank": float(np.median(rank))}


def _recalls() -> list[str]:
    return [f"recall@{k}" for k in CUTOFFS]


def _table(ids: list[str], ranks: Mapping[str, Mapping[str, Ranks]]) -> pa.Table:
    parts = [
        pa.table(
            {
                "model": [model] * len(ids),
                "direction": [direction] * len(ids),
                "pair_id": ids,
                "rank": found.rank_U.numpy(),
                "ties": found.ties_U.numpy(),
            }
        )
        for model, directions in ranks.items()
        for direction, found in directions.items()
    ]
    return pa.concat_tables(parts)
