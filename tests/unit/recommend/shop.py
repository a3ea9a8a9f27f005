"""A shop of 24 users and 8 items with a trained model of its texts, and items that are new to it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.features.feature_file import Provenance, write_features
from mmsrec.models.blend_settings import BlendSettings
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.recommend.catalogue import ItemFiles
from mmsrec.training.train import train
from tests.unit.training.examples import SETTINGS, chosen
from tests.unit.training.test_model_folder import EXPERIMENT, ITEMS, dataset, write_shop, write_text

VECTORS = dict(zip(ITEMS, np.eye(8), strict=True))  # text features by item
BLOCKS = SASRecSettings(dim=16, layers=1, heads=2, feedforward=32, embedding_dropout=0.1, hidden_dropout=0.1)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The folder of the shop: data/, text.parquet, and the models text, ids (with item vectors), sasrec and blend."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, actions=5)
    write_text(folder)
    train(EXPERIMENT, chosen(), dataset(folder), folder / "text")
    with_ids = SETTINGS.model_copy(update={"item_embedding": True})
    train(EXPERIMENT, chosen(settings=with_ids), dataset(folder), folder / "ids")
    train(EXPERIMENT, chosen("sasrec", BLOCKS), dataset(folder, features=False), folder / "sasrec")
    parts = {"sasrec": chosen("sasrec", BLOCKS), "text": replace(chosen(), modalities=("text",))}
    blend = replace(chosen("blend", BlendSettings(parts=list(parts), users=24)), modalities=("text",), parts=parts)
    train(EXPERIMENT, blend, dataset(folder), folder / "blend", parts=[folder / "sasrec", folder / "text"])
    return folder


def write_items(folder, vectors, digest="right", weights="") -> ItemFiles:
    """Files of items with these text vectors, by id."""
    table = pl.DataFrame({"item_id": list(vectors)}).with_row_index("item_index")
    texts = {"title": pl.col("item_id"), "text": pl.col("item_id"), "media_url": pl.lit(None, pl.String)}
    write_table(folder / "items.parquet", table.with_columns(**texts).to_arrow(), SCHEMAS["items"])
    provenance = Provenance("lsa", digest, "text", "", weights)
    rows = {name: vector for name, vector in vectors.items() if vector is not None}
    write_features(folder / "text.parquet", list(rows), [1] * len(rows), np.array(list(rows.values())), provenance)
    return ItemFiles(folder / "items.parquet", {"text": folder / "text.parquet"})
