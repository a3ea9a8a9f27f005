"""Folders of pairs that are stale, incomplete, damaged or inconsistent."""

import numpy as np
import pytest

from mmsrec.artifacts import pairs_schema
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.feature_file import Provenance
from mmsrec.pairs.read import Pairs
from mmsrec.pairs.shard_files import INDEX
from mmsrec.pairs.write import finalise, pair_table, write_pairs, write_shard
from tests.unit.pairs.stored_pairs import PROVENANCE, TEXT, VISION, ids, some_pairs, write_frames, write_some


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_some(tmp_path_factory.mktemp("pairs"), some_pairs())


def test_a_stale_folder_is_an_error(folder):
    with pytest.raises(FeatureError, match="stale") as caught:
        Pairs(folder, "another")
    assert "another" in str(caught.value)


def test_shards_of_two_encoders_are_an_error(tmp_path):
    write_pairs(tmp_path, ids(20), some_pairs(20), PROVENANCE, rows_a_shard=10)
    other = Provenance("clip", "other", "vision and text", "none", "weights")
    table = pair_table(ids(10), some_pairs(10))
    write_shard(tmp_path / "00001.parquet", [table], pairs_schema(VISION, TEXT), other)
    with pytest.raises(FeatureError, match="stale"):
        Pairs(tmp_path)


def test_a_folder_without_its_index_is_not_complete(folder, tmp_path):
    with pytest.raises(ArtifactError, match="not complete") as caught:
        Pairs(tmp_path / "none")
    assert "no such folder" in str(caught.value)
    (tmp_path / "00000.parquet").write_bytes((folder / "00000.parquet").read_bytes())
    with pytest.raises(ArtifactError, match="not complete") as caught:
        Pairs(tmp_path)
    assert "1 shards" in str(caught.value)


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the folder of pairs."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"shards": {}}',
        '{"shards": {"../00000.parquet": 3}}',
        '{"shards": {"00000.parquet": "3"}}',
        '{"shards": {"00000.parquet": -3}}',
        '{"shards": {"00000.parquet": true}}',
        '{"shards"',
    ],
)
def test_an_invalid_index_is_an_error(copy, text):
    (copy / INDEX).write_text(text)
    with pytest.raises(ArtifactError, match=r"not valid|not JSON"):
        Pairs(copy)


def test_a_missing_truncated_or_foreign_shard_is_an_error_at_opening(copy, folder):
    whole = (folder / "00001.parquet").read_bytes()
    for body in (whole[:-10], whole[: len(whole) // 2], b"", (folder / "00002.parquet").read_bytes()):
        (copy / "00001.parquet").write_bytes(body)
        with pytest.raises(ArtifactError) as caught:
            Pairs(copy)
        assert "00001.parquet" in str(caught.value)
    (copy / "00001.parquet").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        Pairs(copy)


def test_a_shard_of_other_columns_is_an_error(copy):
    write_frames(copy, np.ones((2, VISION), np.float16), np.array([1, 1]), np.ones((2, TEXT), np.float16))
    finalise(copy, ["00000.parquet", "00001.parquet"])
    with pytest.raises(ArtifactError, match="differ in their columns"):
        Pairs(copy)


def test_a_flipped_bit_is_an_error_when_the_pairs_are_read(copy):
    whole = (copy / "00001.parquet").read_bytes()
    opened = Pairs(copy)

    def read_after_a_change_at(place, read):
        body = bytearray(whole)
        body[place] ^= 4
        (copy / "00001.parquet").write_bytes(body)
        with pytest.raises(ArtifactError, match="damaged") as caught:
            read()
        assert "00001.parquet" in str(caught.value)

    read_after_a_change_at(len(whole) // 3, opened.read_all)
    read_after_a_change_at(len(whole) // 3, lambda: list(opened.batches(100, 0, 0)))
    read_after_a_change_at(whole.index(b"pair 2300"), opened.read_all)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_vectors_that_are_not_finite_are_not_written(tmp_path, value):
    text = np.ones((10, TEXT))
    text[4, 2] = value
    pairs = some_pairs(10)
    with np.errstate(over="ignore"):
        broken = pairs._replace(text=text.astype(np.float16), text_present=np.ones(10, bool))
    with pytest.raises(FeatureError, match="not finite"):
        write_pairs(tmp_path, ids(10), broken, PROVENANCE)
    assert list(tmp_path.iterdir()) == []
