"""Small artifacts that several tests read: items, a ledger with files, an architecture."""

import hashlib
import io
import json

import numpy as np
import pyarrow as pa
from PIL import Image

from mmsrec.artifacts import SCHEMAS, write_table

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def write_items(path, texts):
    """An items.parquet; gives the item_ids."""
    size = len(texts)
    ids = [f"i{number}" for number in range(size)]
    columns = {
        "item_index": range(size),
        "item_id": ids,
        "title": ids,
        "text": pa.array(texts, pa.string()),
        "media_url": pa.nulls(size, pa.string()),
    }
    write_table(path, pa.table(columns), SCHEMAS["items"])
    return ids


def write_media(folder, files, **other_states):
    """A crawl's folder: `files` are bodies by item_id, `other_states` are states of items without a file."""
    rows = []
    (folder / "files").mkdir(parents=True)
    for item, body in files.items():
        (folder / "files" / item).write_bytes(body)
        digest = hashlib.sha256(body).hexdigest()
        rows.append({"item_id": item, "state": "ok", "attempts": 1, "path": f"files/{item}", "sha256": digest})
    rows += [{"item_id": item, "state": state, "attempts": 1} for item, state in other_states.items()]
    schema = SCHEMAS["ledger"]
    write_table(folder / "ledger.parquet", pa.Table.from_pylist(rows, schema), schema)
    return folder


def encode_texts(encoder, texts):
    """Vectors float32 [texts, dim], encoded in one batch."""
    tower = encoder.tower("text")
    return tower.encode(tower.prepare(texts))


def picture(seed, size=(48, 40), kind="PNG", mode="RGB"):
    """The bytes of a picture of coarse noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    body = io.BytesIO()
    Image.fromarray(pixels).resize(size).convert(mode).save(body, kind)
    return body.getvalue()


def write_architecture(folder):
    """A JSON file of a tiny CLIP."""
    path = folder / "tiny_test_clip.json"
    path.write_text(json.dumps(TINY))
    return path
