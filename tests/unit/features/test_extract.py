"""Extraction of texts: which items get a row."""

import numpy as np
import pyarrow as pa
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.encoder_rows import LsaEncoder
from mmsrec.errors import FeatureError
from mmsrec.features.encoders import encoder_digest
from mmsrec.features.extract import extract_texts
from mmsrec.features.store import read_features

ROW = LsaEncoder(kind="lsa", dim=4, ngrams=1, min_items=2, seed=0)


def write_items(path, texts):
    size = len(texts)
    ids = [f"i{number}" for number in range(size)]
    table = pa.table(
        {
            "item_id": ids,
            "title": ids,
            "text": pa.array(texts, pa.string()),
            "media_url": pa.nulls(size, pa.string()),
            "item_index": range(size),
        }
    )
    write_table(path, table, SCHEMAS["items"])
    return ids


def test_items_without_a_known_text_get_no_row(tmp_path):
    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.choice(["red", "blue", "soap", "brush", "large", "small", "oil", "kit"], 4)) for _ in range(40)
    ]
    texts[3:6] = [None, "", "  \n"]
    texts[7] = "unheard-of"
    ids = write_items(tmp_path / "items.parquet", texts)
    output = tmp_path / "text.parquet"
    extract_texts(tmp_path / "items.parquet", "lsa", ROW, output, domain="shop")
    found = read_features(output, ids, digest=encoder_digest(ROW))
    assert np.flatnonzero(~found.present).tolist() == [3, 4, 5, 7]
    assert read_table(output).column("frames").unique().to_pylist() == [1]


@pytest.mark.parametrize("texts", [[None, None], ["", " "], []])
def test_a_domain_without_text_is_named(tmp_path, texts):
    write_items(tmp_path / "items.parquet", texts)
    with pytest.raises(FeatureError, match="No item of the domain has a text") as error:
        extract_texts(tmp_path / "items.parquet", "lsa", ROW, tmp_path / "text.parquet", domain="shop")
    assert "domains.shop" in str(error.value)
    assert "items.parquet" in str(error.value)
    assert "text_fields" in str(error.value)
