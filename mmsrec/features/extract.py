"""Extraction: the items of a domain through an encoder into a feature file."""

import logging
from pathlib import Path

import numpy as np

from mmsrec import encoder_rows as rows
from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import FeatureError
from mmsrec.features.encoders import load_encoder
from mmsrec.features.store import Provenance, write_features
from mmsrec.progress import progress

logger = logging.getLogger(__name__)


def extract_texts(items: Path, encoder: str, row: rows.Encoder, output: Path, *, domain: str) -> None:
    """Encodes the text of every item that has one; an item without gets no row.

    Args:
        items: the domain's items.parquet.
        encoder: name of the encoder's row in the parameters.
        row: that row.
        output: the feature file.
        domain: name of the domain, for messages.

    Raises:
        FeatureError: no item has a text, or the encoder cannot be made.
    """
    table = read_table(items, SCHEMAS["items"]).select(["item_id", "text"])
    texts = [(text or "").strip() for text in table.column("text").to_pylist()]
    item_ids = [item for item, text in zip(table.column("item_id").to_pylist(), texts, strict=True) if text]
    texts = [text for text in texts if text]
    if not texts:
        raise FeatureError(
            "No item of the domain has a text.",
            where=f"domains.{domain}: {items}",
            expected="a text for at least some items",
            found=f"{table.num_rows:,} items, none with a text",
            fix="Correct the domain's text_fields, or leave the modality text out of the variants run on it.",
        )
    model = load_encoder(encoder, row, texts)
    tower = model.tower("text")
    vectors = np.empty((len(texts), model.dim), np.float32)
    with progress(f"encode texts with {encoder}", len(texts), "texts") as bar:
        for start in range(0, len(texts), tower.batch_size):
            part = texts[start : start + tower.batch_size]
            vectors[start : start + len(part)] = model.encode_texts(part)
            bar.update(len(part))
    known = vectors.any(axis=1)
    item_ids = [item for item, keep in zip(item_ids, known, strict=True) if keep]
    logger.info("%s: %d of %d items have features of their text", domain, len(item_ids), table.num_rows)
    provenance = Provenance(encoder, model.digest, "text", tower.preprocessing)
    write_features(output, item_ids, np.ones(len(item_ids), np.uint16), vectors[known], provenance)
