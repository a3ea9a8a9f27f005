"""Tables of vectors become feature files; a table that does not fit is an error that names it."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmsrec.errors import FeatureError
from mmsrec.features.encoders import digest_of, encoder_digest, load_encoder, pairs_digest
from mmsrec.features.feature_file import read_features, read_provenance
from mmsrec.features.vector_table import extract_table
from mmsrec.files import sha256
from mmsrec.settings.encoding import TableEncoder, vector_tables
from tests.unit.features.worlds import write_items

ROW = TableEncoder(kind="table", text="shop/text.parquet")
VECTORS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


@pytest.fixture
def items(tmp_path):
    """Items i0 to i5."""
    write_items(tmp_path / "items.parquet", [None] * 6)
    return tmp_path / "items.parquet"


def write(path, ids, vectors, kind=None):
    kind = kind or pa.list_(pa.float32())
    embedding = pa.array([None if vector is None else [float(x) for x in vector] for vector in vectors], kind)
    pq.write_table(pa.table({"item_id": ids, "embedding": embedding}), path)
    return path


def extract(items, table, row=ROW, modality="text"):
    output = items.parent / f"{modality}.features.parquet"
    extract_table(items, table, "given", row, modality, output, domain="shop")
    return output


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float16(), 3), pa.list_(pa.float32()), pa.large_list(pa.float64())],
    ids=["fixed float16", "list float32", "large float64"],
)
def test_vectors_become_a_feature_file_by_item_id(items, tmp_path, kind):
    shuffled = [4, 0, 5, 2, 1, 3]
    ids = pa.array(["another", *(f"i{number}" for number in shuffled)])
    table = write(tmp_path / "t.parquet", ids, [np.ones(3), *VECTORS[shuffled]], kind)
    output = extract(items, table)
    found = read_features(output, [f"i{number}" for number in range(6)], encoder_digest(ROW, [table]))
    assert found.present.all()
    np.testing.assert_array_equal(found.embeddings, VECTORS.astype(np.float16))
    assert pq.read_table(output)["item_id"].to_pylist() == [f"i{number}" for number in range(6)]
    provenance = read_provenance(output)
    assert (provenance.weights, provenance.preprocessing) == (sha256(table), "given")


def test_integer_ids_are_text_and_null_and_zero_vectors_are_no_vectors(items, tmp_path, caplog):
    folder = tmp_path / "films"
    folder.mkdir()
    known = pq.read_table(items)
    known = known.set_column(1, "item_id", pa.array([str(number) for number in range(6)]))
    pq.write_table(known.cast(known.schema.set(1, pa.field("item_id", pa.string(), nullable=False))), folder / "i")
    table = write(tmp_path / "t.parquet", pa.array(range(1, 7)), [None, np.zeros(3), *VECTORS[:4]])
    with caplog.at_level(logging.WARNING):
        output = extract(folder / "i", table)
    assert pq.read_table(output)["item_id"].to_pylist() == ["3", "4", "5"]
    assert "3 of 6 items have a vector" in caplog.text
    assert "0, 1, 2" in caplog.text


IDS = pa.array([f"i{number}" for number in range(6)])
WILD = VECTORS.copy()
WILD[2, 1] = np.nan


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"id": IDS, "embedding": IDS}, "no column item_id"),
        ({"item_id": IDS, "vector": IDS}, "no column embedding"),
        ({"item_id": IDS, "embedding": IDS}, "type string"),
        ({"item_id": pa.array(np.ones(6)), "embedding": pa.array(VECTORS.tolist())}, "type double"),
        ({"item_id": IDS, "embedding": pa.array([[1.0, 2.0]] * 5 + [[1.0]])}, "widths [1, 2]"),
        ({"item_id": IDS, "embedding": pa.array([[]] * 6, pa.list_(pa.float32()))}, "widths [0]"),
        ({"item_id": IDS, "embedding": pa.array(WILD.tolist())}, "the first for i2"),
        ({"item_id": IDS, "embedding": pa.array((VECTORS * 1e6).tolist())}, "NaN or infinity"),
        ({"item_id": IDS, "embedding": pa.array([[0.5, None, 1.0]] * 6)}, "NaN or infinity"),
        ({"item_id": pa.array(["i1"] * 6), "embedding": pa.array(VECTORS.tolist())}, "the first is i1"),
        ({"item_id": pa.array(["i1", None] * 3), "embedding": pa.array(VECTORS.tolist())}, "3 rows without one"),
        ({"item_id": pa.array(list("abcdef")), "embedding": pa.array(VECTORS.tolist())}, "6 ids such as a, b, c"),
        ({"item_id": IDS, "embedding": pa.array([[0.0, 0.0]] * 6)}, "zeros for all items"),
        ({"item_id": IDS, "embedding": pa.nulls(6, pa.list_(pa.float32()))}, "no vector"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_does_not_fit_is_an_error(items, tmp_path, columns, found):
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), table)
    with pytest.raises(FeatureError) as error:
        extract(items, table)
    assert found in str(error.value)
    assert str(table) in str(error.value)
    assert "fix: " in str(error.value)
    assert not (tmp_path / "text.features.parquet").exists()


@pytest.mark.parametrize("vectors", [VECTORS, np.zeros((6, 3))], ids=["other items", "zeros"])
def test_new_items_may_all_lack_a_vector(items, tmp_path, vectors, caplog):
    table = write(tmp_path / "t.parquet", IDS if not vectors.any() else pa.array(list("abcdef")), vectors)
    output = tmp_path / "late.parquet"
    extract_table(items, table, "given", ROW, "text", output, domain="late", required=False)
    found = read_features(output, IDS, encoder_digest(ROW, [table]))
    assert found.embeddings.shape == (6, 3)
    assert not found.present.any()
    assert "only 0 of 6 items have a vector; the first without one: i0, i1, i2" in caplog.text


@pytest.mark.parametrize("damage", ["truncated", "text", "missing"])
def test_a_damaged_table_is_an_error(items, tmp_path, damage):
    table = write(tmp_path / "t.parquet", IDS, VECTORS)
    match damage:
        case "truncated":
            table.write_bytes(table.read_bytes()[:-20])
        case "text":
            table.write_text("item_id,embedding\ni1,0.5\n")
        case "missing":
            table.unlink()
    with pytest.raises(FeatureError, match="cannot be read") as error:
        extract(items, table)
    assert str(table) in str(error.value)


def test_a_modality_without_a_table_is_an_error(items, tmp_path):
    with pytest.raises(FeatureError, match="no table for this modality") as error:
        extract(items, write(tmp_path / "t.parquet", IDS, VECTORS), modality="vision")
    assert "encoders.given" in str(error.value)


def test_another_table_makes_the_features_stale(items, tmp_path):
    (tmp_path / "shop").mkdir()
    table = write(tmp_path / "shop" / "text.parquet", IDS, VECTORS)
    assert vector_tables(ROW, "text", tmp_path) == [table]
    assert vector_tables(ROW, "vision", tmp_path) == []
    output = extract(items, table)
    write(table, IDS, VECTORS + 1)
    with pytest.raises(FeatureError, match="stale"):
        read_features(output, ["i0"], encoder_digest(ROW, [table]))
    table.unlink()
    with pytest.raises(FeatureError, match="missing"):
        encoder_digest(ROW, [table])


def test_a_table_needs_a_path_and_encodes_nothing():
    with pytest.raises(ValueError, match="at least one of the keys"):
        TableEncoder(kind="table")
    with pytest.raises(FeatureError, match="computes no vectors"):
        load_encoder("given", ROW)


def test_pairs_of_two_tables_are_known_by_the_digests_of_both(tmp_path):
    both = ROW.model_copy(update={"vision": "shop/vision.parquet"})
    (tmp_path / "shop").mkdir()
    text = write(tmp_path / "shop" / "text.parquet", IDS, VECTORS)
    vision = write(tmp_path / "shop" / "vision.parquet", IDS, VECTORS + 1)
    pairs = pairs_digest(both, tmp_path)
    assert digest_of(pairs, "vision") == encoder_digest(both, [vision])
    assert digest_of(pairs, "text") == encoder_digest(both, [text])
    assert digest_of("one", "vision") == digest_of("one", "text") == "one"
