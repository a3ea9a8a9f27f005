"""Feature files against a row-by-row oracle, and their errors."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.feature_file import Provenance, read_features, read_provenance, write_features

PROVENANCE = Provenance(encoder="lsa", digest="d1", modality="text", preprocessing="lower case", weights="w1")
RNG = np.random.default_rng(0)


@pytest.fixture
def stored(tmp_path):
    item_ids = [f"i{number}" for number in range(50)]
    vectors = RNG.normal(size=(50, 8)).astype(np.float32)
    path = tmp_path / "domain" / "text.parquet"
    write_features(path, item_ids, [1] * 50, vectors, PROVENANCE)
    return path, item_ids, vectors


def test_vectors_come_in_the_requested_order_with_missing_items_marked(stored):
    path, item_ids, vectors = stored
    asked = ["unknown", *RNG.permutation(item_ids)[:30], "another"]
    found = read_features(path, asked, digest="d1")
    stored_vectors = dict(zip(item_ids, vectors.astype(np.float16), strict=True))
    assert found.embeddings.dtype == np.float16
    for row, item in enumerate(asked):
        assert found.present[row] == (item in stored_vectors)
        np.testing.assert_array_equal(found.embeddings[row], stored_vectors.get(item, np.zeros(8)))


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_file_with_several_row_groups_is_read(stored, tmp_path, monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    path, item_ids, vectors = stored
    parts = tmp_path / "parts.parquet"
    pq.write_table(pq.read_table(path), parts, row_group_size=7)
    found = read_features(parts, pa.chunked_array([item_ids[:20], item_ids[20:]]))
    assert found.present.all()
    np.testing.assert_array_equal(found.embeddings, vectors.astype(np.float16))


def test_an_empty_list_of_items_gives_no_vectors(stored):
    found = read_features(stored[0], [])
    assert found.embeddings.shape == (0, 8)
    assert found.present.shape == (0,)


def test_a_file_without_rows_leaves_every_item_missing(tmp_path):
    path = tmp_path / "vision.parquet"
    write_features(path, [], [], np.zeros((0, 4), np.float32), PROVENANCE)
    assert not read_features(path, ["a", "b"]).present.any()


def test_another_encoders_file_is_stale(stored):
    with pytest.raises(FeatureError, match="stale") as error:
        read_features(stored[0], ["i1"], digest="d2")
    assert "d2" in str(error.value)
    assert "d1" in str(error.value)


def test_the_provenance_is_read_back(stored):
    assert read_provenance(stored[0]) == PROVENANCE


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e6])
def test_a_vector_that_is_not_finite_as_float16_is_refused(tmp_path, value):
    vectors = np.ones((3, 4), np.float32)
    vectors[1, 2] = value
    with pytest.raises(FeatureError, match="not finite") as error:
        write_features(tmp_path / "text.parquet", ["a", "b", "c"], [1, 1, 1], vectors, PROVENANCE)
    assert "the first for b" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_stored_values_that_are_not_finite_are_refused_by_the_first(stored, tmp_path):
    table = pq.read_table(stored[0])
    vectors = np.zeros((50, 8), np.float16)
    vectors[[9, 30], 3] = np.nan
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 8)
    broken = tmp_path / "broken.parquet"
    field = table.schema.field("embedding")
    pq.write_table(table.set_column(2, field, column), broken, row_group_size=7)
    with pytest.raises(FeatureError, match="not finite") as error:
        read_features(broken, ["i0"])
    assert "the first for i9" in str(error.value)


def test_an_item_that_occurs_twice_is_refused(stored, tmp_path):
    with pytest.raises(FeatureError, match="more than once"):
        write_features(tmp_path / "twice.parquet", ["a", "a"], [1, 1], np.ones((2, 4)), PROVENANCE)
    with pytest.raises(FeatureError, match="more than once"):
        read_features(stored[0], ["i1", "i2", "i1"])


@pytest.mark.parametrize(("items", "frames", "shape"), [(2, 3, (3, 4)), (3, 2, (3, 4)), (3, 3, (3,))])
def test_vectors_that_do_not_fit_the_items_are_refused(tmp_path, items, frames, shape):
    with pytest.raises(FeatureError, match="do not fit"):
        write_features(tmp_path / "text.parquet", list("abc")[:items], [1] * frames, np.ones(shape), PROVENANCE)


def test_a_parquet_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"item_id": ["a"], "embedding": [[1.0, 2.0]]}), path)
    with pytest.raises(FeatureError, match="no feature file"):
        read_features(path, ["a"])


def test_features_without_provenance_are_refused(stored, tmp_path):
    path = tmp_path / "bare.parquet"
    pq.write_table(pq.read_table(stored[0]).replace_schema_metadata({}), path)
    with pytest.raises(FeatureError, match="no feature file"):
        read_features(path, ["i0"])


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"<html>not found</html>", lambda _: b""]
)
def test_a_damaged_file_is_refused(stored, damage):
    path = stored[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtifactError, match="not a readable Parquet file"):
        read_features(path, ["i0"])


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match="missing"):
        read_features(tmp_path / "none.parquet", ["i0"])
