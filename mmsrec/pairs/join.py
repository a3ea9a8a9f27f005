"""Joins features to pairs: one pair for each caption of a clip, or one for each item of a domain."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import FeatureError
from mmsrec.features.encoders import digest_of
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
        digest: identity of the encoder that must have made both files (`encoders.pairs_digest`); None if both must
            come from one encoder, whichever it is.
        missing: whether to drop or keep a pair that lacks one of its two vectors; one without both is dropped.

    Raises:
        ArtifactError: a file is missing or is not Parquet.
        FeatureError: a file is stale or no feature file, two encoders made them, or no pair is left.
    """
    ids = _ids(captions)
    _join(captions, ids, ids.str.replace(rf"{NUMBER}\d+$", ""), vision, text, output, digest, missing)


def pair_items(
    items: Path,
    vision: Path,
    text: Path,
    output: Path,
    *,
    digest: str | None = None,
    missing: Literal["drop", "keep"] = "drop",
) -> None:
    """Writes a complete folder of pairs, in the order of a domain's items; a pair has its item's id.

    Args:
        items: items.parquet of the domain.
        vision: feature file of the items' pictures or trailers.
        text: feature file of the items' texts.
        output, digest, missing: as in `pair_features`; the errors, too.
    """
    ids = _ids(items)
    _join(items, ids, ids, vision, text, output, digest, missing)


def _ids(table: Path) -> pl.Series:
    return pl.from_arrow(read_table(table, SCHEMAS["items"])).get_column("item_id")


def _join(
    table: Path,
    ids: pl.Series,
    clips: pl.Series,
    vision: Path,
    text: Path,
    output: Path,
    digest: str | None,
    missing: Literal["drop", "keep"],
) -> None:
    """Writes one pair for each text of `ids`, with the vision of its clip."""
    made = _provenance(vision, text, digest)
    distinct = clips.unique(maintain_order=True)
    visions = read_features(vision, distinct.to_arrow(), digest_of(made.digest, "vision"))
    texts = read_features(text, ids.to_arrow(), digest_of(made.digest, "text"))
    rows = clips.to_frame("clip").join(distinct.to_frame("clip").with_row_index(), on="clip", maintain_order="left")
    row = rows.get_column("index").to_numpy()
    pairs = PairBatch(visions.embeddings[row], visions.present[row], texts.embeddings, texts.present)
    complete = np.logical_and if missing == "drop" else np.logical_or
    kept = np.flatnonzero(complete(pairs.vision_present, pairs.text_present))
    if not len(kept):
        raise FeatureError(
            "No text has the two vectors of a pair.",
            where=table,
            expected=f"pictures or clips in {vision} and texts in {text}",
            found=f"{len(ids):,} texts, {int(visions.present.sum()):,} clips and "
            f"{int(texts.present.sum()):,} texts with features",
            fix="Look at the ledger and the tables with python -m mmsrec.inspect.",
        )
    write_pairs(output, ids.gather(kept).to_list(), pairs.rows(kept), made)
    logger.info("%s: %s pairs of %s texts", output, f"{len(kept):,}", f"{len(ids):,}")


def _provenance(vision: Path, text: Path, digest: str | None) -> Provenance:
    vision_origin, text_origin = read_provenance(vision), read_provenance(text)
    if digest is None and vision_origin.digest != text_origin.digest:
        raise FeatureError(
            "Two encoders made the features of a pair.",
            where=text,
            expected=f"{vision_origin.encoder} with digest {vision_origin.digest}",
            found=f"{text_origin.encoder} with digest {text_origin.digest}",
            fix="Extract both with one encoder.",
        )
    preprocessing = f"vision: {vision_origin.preprocessing}; text: {text_origin.preprocessing}"
    made_by = text_origin.digest if digest is None else digest
    return Provenance(text_origin.encoder, made_by, "vision and text", preprocessing, text_origin.weights)
