"""The features of a corpus of captioned clips, joined to pairs: one for each caption."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import FeatureError
from mmsrec.features.feature_file import Provenance, read_features, read_provenance
from mmsrec.pairs.read import PairBatch
from mmsrec.pairs.write import write_pairs
from mmsrec.sources.captions import NUMBER

logger = logging.getLogger(__name__)


def pair_features(
    captions: Path,
    vision: Path,
    text: Path,
    output: Path,
    *,
    digest: str | None = None,
    missing: Literal["drop", "keep"] = "drop",
) -> None:
    """Writes a sealed folder of pairs, in the order of the captions; a pair's id is its caption's.

    Args:
        captions: captions.parquet, as `sources.clips.ingest_clips` writes it.
        vision: feature file of the clips.
        text: feature file of the captions.
        output: folder of the pairs.
        digest: identity of the encoder that must have made both files (`encoders.encoder_digest`).
        missing: whether pairs that lack one of the two features are dropped; those that lack both always are.

    Raises:
        ArtifactError: a file is missing or is not Parquet.
        FeatureError: a file is stale or no feature file, or two encoders made them, or no pair is left.
    """
    made = _provenance(vision, text)
    ids = pl.from_arrow(read_table(captions, SCHEMAS["items"])).get_column("item_id")
    clips = ids.str.replace(rf"{NUMBER}\d+$", "")
    distinct = clips.unique(maintain_order=True)
    of_clips = read_features(vision, distinct.to_arrow(), digest)
    of_captions = read_features(text, ids.to_arrow(), digest)
    rows = clips.to_frame("clip").join(distinct.to_frame("clip").with_row_index(), on="clip", maintain_order="left")
    row = rows.get_column("index").to_numpy()
    pairs = PairBatch(of_clips.embeddings[row], of_clips.present[row], of_captions.embeddings, of_captions.present)
    wanted = np.logical_and if missing == "drop" else np.logical_or
    kept = np.flatnonzero(wanted(pairs.vision_present, pairs.text_present))
    if not len(kept):
        raise FeatureError(
            "No caption has the features of a pair.",
            where=captions,
            expected=f"clips in {vision} and captions in {text}",
            found=f"{len(ids):,} captions, {int(of_clips.present.sum()):,} clips and "
            f"{int(of_captions.present.sum()):,} captions with features",
            fix="Look at the ledger and the tables with python -m mmsrec.inspect.",
        )
    write_pairs(output, ids.gather(kept).to_list(), pairs.rows(kept), made)
    logger.info("%s: %s pairs of %s captions", output, f"{len(kept):,}", f"{len(ids):,}")


def _provenance(vision: Path, text: Path) -> Provenance:
    of_vision, of_text = read_provenance(vision), read_provenance(text)
    if of_vision.digest != of_text.digest:
        raise FeatureError(
            "Two encoders made the features of a pair.",
            where=text,
            expected=f"{of_vision.encoder} with digest {of_vision.digest}",
            found=f"{of_text.encoder} with digest {of_text.digest}",
            fix="Extract both with one encoder.",
        )
    preprocessing = f"vision: {of_vision.preprocessing}; text: {of_text.preprocessing}"
    return Provenance(of_text.encoder, of_text.digest, "vision and text", preprocessing, of_text.weights)
