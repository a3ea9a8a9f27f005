"""Small corpora of pairs for tests of pre-training."""

from pathlib import Path

import numpy as np

from mmsrec.features.feature_file import Provenance
from mmsrec.pairs.read import PairBatch, Pairs
from mmsrec.pairs.write import write_pairs

DIGEST = "right"


def batch(pairs: int = 96, missing: int = 9, seed: int = 0) -> PairBatch:
    """Pairs whose vision and text are two noisy projections of one hidden vector; every `missing`th lacks one."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(pairs, 6))
    vision, text = (
        (hidden @ random.normal(size=(6, width)) + 0.1 * random.normal(size=(pairs, width))).astype(np.float16)
        for width in (10, 8)
    )
    number = np.arange(pairs)
    present = [np.ones(pairs, bool), np.ones(pairs, bool)]
    if missing:
        present = [number % missing != 1, number % missing != 2]
    return PairBatch(vision, present[0], text, present[1])


def corpus(folder: Path, pairs: PairBatch) -> Pairs:
    ids = [f"pair{number:03d}" for number in range(len(pairs.vision))]
    write_pairs(folder, ids, pairs, Provenance("clip", DIGEST, "", "", ""), rows_a_shard=40)
    return Pairs(folder, DIGEST)
