"""Pairs and folders of pairs for tests."""

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import pairs_schema
from mmsrec.features.feature_file import Provenance
from mmsrec.pairs.read import PairBatch
from mmsrec.pairs.write import finalise, frames_column, vectors_column, write_pairs, write_shard

PROVENANCE = Provenance("clip", "digest", "vision and text", "none", "weights")
ROWS, VISION, TEXT = 5000, 3, 5


def some_pairs(rows=ROWS, seed=0):
    """Pairs whose first components are their number; some lack one feature or both."""
    rng = np.random.default_rng(seed)
    vision, text = rng.standard_normal((rows, VISION)), rng.standard_normal((rows, TEXT))
    vision[:, 0] = text[:, 0] = np.arange(rows) / 8
    present = rng.random((2, rows)) < 0.9
    return PairBatch(vision.astype(np.float16), present[0], text.astype(np.float16), present[1])


def ids(rows):
    return [f"pair {number}" for number in range(rows)]


def write_some(path, pairs):
    """Three shards of several row groups each."""
    write_pairs(path, ids(ROWS), pairs, PROVENANCE, rows_a_shard=2300)
    return path


def write_frames(folder, frames, counts, text):
    pair_ids = pa.array(ids(len(counts)))
    table = pa.table({"pair_id": pair_ids, "frames": frames_column(frames, counts), "text": vectors_column(text)})
    schema = pairs_schema(frames.shape[1], text.shape[1], "frames")
    write_shard(folder / "00000.parquet", [table.slice(0, 700), table.slice(700)], schema, PROVENANCE)
    finalise(folder, ["00000.parquet"])
