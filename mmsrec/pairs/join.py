"""Joins the features of clips and captions to pairs, one pair for each caption."""

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
    """Writes a complete folder of pairs, in the order of the captions; a pair has its caption's id.

    Args:
        captions: captions.parquet, from `sources.captions.ingest_clips`.
        vision: feature file of the clips.
        text: feature file of the captions.
        output: folder of the pairs.
        digest: identity of the encoder that must have made both files (`encoders.encoder_digest`).
        missing: whether to drop or keep a pair that lacks one of its two vectors; one without both is dropped.

    Raises:
        ArtifactError: a file is missing or is not Parquet.
        FeatureError: a file is stale or no feature file, two encoders made them, or no pair is left.
    """
    made = _provenance(vision, text)
    ids = pl.from_arrow(read_table(captions, SCHEMAS["items"])).get_column("item_id")
    clips = ids.str.replace(rf"{NUMBER}\d+$", "")
    distinct = clips.unique(maintain_order=True)
    visions = read_features(vision, distinct.to_arrow(), digest)
    texts = read_features(text, ids.to_arrow(), digest)
    rows = clips.to_frame("clip").join(distinct.to_frame("clip").with_row_index(), on="clip", maintain_order="left")
    row = rows.get_column("index").to_numpy()
    pairs = PairBatch(visions.embeddings[row], visions.present[row], texts.embeddings, texts.present)
    complete = np.logical_and if missing == "drop" else np.logical_or
    kept = np.flatnonzero(complete(pairs.vision_present, pairs.text_present))
    if not len(kept):
        raise FeatureError(
            "No caption has the two vectors of a pair.",
            where=captions,
            expected=f"clips in {vision} and captions in {text}",
            found=f"{len(ids):,} captions, {int(visions.present.sum()):,} clips and "
            f"{int(texts.present.sum()):,} captions with features",
            fix="Look at the ledger and the tables with python -m mmsrec.inspect.",
        )
    write_pairs(output, ids.gather(kept).to_list(), pairs.rows(kept), made)
    logger.info("%s: %s pairs of %s captions", output, f"{len(kept):,}", f"{len(ids):,}")


def _provenance(vision: Path, text: Path) -> Provenance:
    vision_origin, text_origin = read_provenance(vision), read_provenance(text)
    if vision_origin.digest != text_origin.digest:
        raise FeatureError(
            "Two encoders made the features of a pair.",
            where=text,
            expected=f"{vision_origin.encoder} with digest {vision_origin.digest}",
            found=f"{text_origin.encoder} with digest {text_origin.digest}",
            fix="Extract both with one encoder.",
        )
    preprocessing = f"vision: {vision_origin.preprocessing}; text: {text_origin.preprocessing}"
    return Provenance(text_origin.encoder, text_origin.digest, "vision and text", preprocessing, text_origin.weights)
