import numpy as np
import pyarrow as pa
import pytest

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import FeatureError
from mmsrec.features.feature_file import Provenance, write_features
from mmsrec.pairs.join import pair_features, pair_items
from mmsrec.pairs.read import Pairs

CAPTIONS = ["v#1#0", "v2#0", "v#1#1", "v3#0", "v4#0"]
CLIPS = ["v3", "v#1", "v2", "v9"]


def vectors(ids, width):
    return np.array([[len(name), *map(ord, name[:2].ljust(width))][:width] for name in ids], np.float32)


@pytest.fixture
def files(tmp_path):
    """captions.parquet, and features of some clips and some captions."""
    size = len(CAPTIONS)
    columns = {
        "item_index": range(size),
        "item_id": CAPTIONS,
        "title": pa.nulls(size, pa.string()),
        "text": CAPTIONS,
        "media_url": pa.nulls(size, pa.string()),
    }
    write_table(tmp_path / "captions.parquet", pa.table(columns), SCHEMAS["items"])
    write(tmp_path / "vision.parquet", CLIPS, 2, "vision")
    write(tmp_path / "text.parquet", ["v#1#1", "v#1#0", "v3#0", "v4#0"], 3, "text")
    return [tmp_path / f"{name}.parquet" for name in ("captions", "vision", "text")]


def write(path, ids, width, modality, digest="digest"):
    provenance = Provenance("clip", digest, modality, f"{modality} words", "weights")
    write_features(path, ids, [1] * len(ids), vectors(ids, width), provenance)


def test_each_caption_is_paired_with_its_clip(files, tmp_path):
    pair_features(*files, tmp_path / "pairs", digest="digest")
    ids, found = Pairs(tmp_path / "pairs", "digest").read_all()

    assert ids == ["v#1#0", "v#1#1", "v3#0"]
    np.testing.assert_array_equal(found.vision, vectors(["v#1", "v#1", "v3"], 2))
    np.testing.assert_array_equal(found.text, vectors(ids, 3))


def test_pairs_that_lack_a_feature_may_be_kept(files, tmp_path):
    pair_features(*files, tmp_path / "pairs", missing="keep")
    ids, found = Pairs(tmp_path / "pairs").read_all()

    assert ids == CAPTIONS
    assert list(found.vision_present) == [True, True, True, True, False]
    assert list(found.text_present) == [True, False, True, True, True]


def test_stale_features_are_an_error(files, tmp_path):
    with pytest.raises(FeatureError, match="stale"):
        pair_features(*files, tmp_path / "pairs", digest="another")
    write(files[2], ["v3#0"], 3, "text", digest="another")
    with pytest.raises(FeatureError, match="Two encoders"):
        pair_features(*files, tmp_path / "pairs")


def test_no_pair_at_all_is_an_error(files, tmp_path):
    write(files[1], ["v4"], 2, "vision")
    write(files[2], ["v3#0"], 3, "text")
    with pytest.raises(FeatureError, match="No text has the two vectors"):
        pair_features(*files, tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()


def test_each_item_is_paired_with_its_own_picture(files, tmp_path):
    # A domain's ids may end like the number of a caption.
    captions, vision, text = files
    write(vision, ["v3#0", "v#1#1", "v2#0"], 2, "vision")
    pair_items(captions, vision, text, tmp_path / "pairs", missing="keep")
    ids, found = Pairs(tmp_path / "pairs", "digest").read_all()

    assert ids == CAPTIONS
    assert list(found.vision_present) == [False, True, True, True, False]
    assert list(found.text_present) == [True, False, True, True, True]
    np.testing.assert_array_equal(found.vision[[1, 2, 3]], vectors(["v2#0", "v#1#1", "v3#0"], 2))


def test_given_vectors_have_a_digest_for_each_modality(files, tmp_path):
    captions, vision, text = files
    write(vision, ["v3#0"], 2, "vision", digest="one")
    write(text, ["v3#0"], 3, "text", digest="other")
    pair_items(captions, vision, text, tmp_path / "pairs", digest="one other")
    pairs = Pairs(tmp_path / "pairs", "one other")

    assert (pairs.digest, len(pairs)) == ("one other", 1)
    for wrong in ("other one", "one"):
        with pytest.raises(FeatureError, match="stale"):
            pair_items(captions, vision, text, tmp_path / "pairs", digest=wrong)
