"""Extraction: the items that get a row, their vectors, and resuming after an interruption."""

import io
from contextlib import suppress
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from PIL import Image

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features import extract
from mmsrec.features import frame_table as frame_tables
from mmsrec.features.encoders import Encoder, Tower, encoder_digest
from mmsrec.features.encoders.encoder import KINDS
from mmsrec.features.extract import extract_frames, extract_pictures, extract_texts
from mmsrec.features.feature_file import read_features, read_provenance
from mmsrec.features.frame_table import sample_frames
from mmsrec.settings.encoding import Frames, LsaEncoder, OpenClipEncoder
from tests.unit.features.test_frame_sampler import CLIPS
from tests.unit.features.worlds import picture, write_items, write_media

ROW = LsaEncoder(kind="lsa", dim=4, ngrams=1, min_items=2, seed=0)
STUB = OpenClipEncoder(kind="open_clip", model="stub", weights="seeded", seed=0)
WORDS = ["red", "blue", "soap", "brush", "large", "small", "oil", "kit"]


class Stub:
    """An encoder whose vectors are easy to compute; it records its batches."""

    def __init__(self, batch_size=4):
        self.batches = []
        self.batch_size = batch_size
        self.on_host = True
        self.fails_after = None

    def texts(self, batch):
        return np.array([[len(text), sum(map(ord, text)) / 100, 1] for text in batch], np.float32)

    def pictures(self, images):
        return np.array([[*np.asarray(image.convert("RGB")).mean((0, 1))] for image in images], np.float32) / 100

    def tower(self, prepare):
        return Tower(prepare, self.encode, self.batch_size, "as it is", self.on_host)

    def encode(self, batch):
        if self.fails_after is not None and len(self.batches) >= self.fails_after:
            raise KeyboardInterrupt
        self.batches.append(batch)
        return batch

    def load(self, name, row, corpus):
        towers = {"text": self.tower(self.texts), "vision": self.tower(self.pictures)}
        return Encoder(name, 3, encoder_digest(row), "w", towers)


@pytest.fixture(params=[True, False], ids=["on the host", "on a device"])
def stub(monkeypatch, request):
    encoder = Stub()
    encoder.on_host = request.param
    monkeypatch.setitem(KINDS, "open_clip", "stub")
    monkeypatch.setattr("mmsrec.features.encoders.encoder.import_module", lambda name: encoder)
    monkeypatch.setattr(extract, "BATCHES_A_PART", 2)
    return encoder


def as_stored(vectors):
    return np.asarray(vectors, np.float32).astype(np.float16)


def test_items_without_a_known_text_get_no_row(tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(40)]
    texts[3:6] = [None, "", "  \n"]
    texts[7] = "unheard-of"
    ids = write_items(tmp_path / "items.parquet", texts)
    output = tmp_path / "text.parquet"
    extract_texts(tmp_path / "items.parquet", "lsa", ROW, output, domain="shop")
    found = read_features(output, ids, digest=encoder_digest(ROW))
    assert np.flatnonzero(~found.present).tolist() == [3, 4, 5, 7]
    assert pl.read_parquet(output, columns=["frames"]).unique().item() == 1
    provenance = read_provenance(output)
    assert (provenance.encoder, provenance.modality) == ("lsa", "text")


@pytest.mark.parametrize("texts", [[None, None], ["", " "], []])
def test_a_domain_without_text_is_an_error(tmp_path, texts):
    write_items(tmp_path / "items.parquet", texts)
    with pytest.raises(FeatureError, match="No item of the domain has a text") as error:
        extract_texts(tmp_path / "items.parquet", "lsa", ROW, tmp_path / "text.parquet", domain="shop")
    assert "where: shop: " in str(error.value)
    assert "items.parquet" in str(error.value)
    assert "text_fields" in str(error.value)


def test_new_texts_are_encoded_as_the_old_ones_were(tmp_path, caplog):
    rng = np.random.default_rng(0)
    old = [" ".join(rng.choice(WORDS, 4)) for _ in range(40)]
    old_ids = write_items(tmp_path / "old.parquet", old)
    new_ids = write_items(tmp_path / "new.parquet", [old[7], "zest", "unheard of", None, old[9] + " zest", old[7]])
    extract_texts(tmp_path / "old.parquet", "lsa", ROW, tmp_path / "old", domain="shop")
    caplog.clear()
    with caplog.at_level("INFO"):
        extract_texts(
            *(tmp_path / "new.parquet", "lsa", ROW, tmp_path / "new"), domain="late", fitted_on=tmp_path / "old.parquet"
        )

    assert read_provenance(tmp_path / "new") == read_provenance(tmp_path / "old")
    before, after = read_features(tmp_path / "old", old_ids), read_features(tmp_path / "new", new_ids)
    assert after.present.tolist() == [True, False, False, False, True, True]
    np.testing.assert_array_equal(after.embeddings[[0, 4, 5]], before.embeddings[[7, 9, 7]])
    assert "the encoder knew 75 % of 16 words of the new texts" in caplog.text
    assert "lsa knows no part of the text of 2 items: i1, i2" in caplog.text


def test_new_items_may_all_lack_an_input(tmp_path, stub):
    items = tmp_path / "items.parquet"
    ids = write_items(items, [None] * 3)
    media = write_media(tmp_path / "media", {}, i0="dead", i1="missing", i2="missing")
    write_items(tmp_path / "old.parquet", ["red soap"])
    given = {"domain": "late", "required": False}
    extract_texts(items, "stub", STUB, tmp_path / "text", fitted_on=tmp_path / "old.parquet", **given)
    extract_pictures(items, media, "stub", STUB, tmp_path / "pictures", **given)
    sample_frames(media, Frames(rule="uniform", count=4, size=32, quality=90), tmp_path / "table", required=False)
    extract_frames(items, tmp_path / "table", "stub", STUB, tmp_path / "frames", **given)
    for name in ("text", "pictures", "frames"):
        found = read_features(tmp_path / name, ids, encoder_digest(STUB))
        assert found.embeddings.shape == (3, 3)
        assert not found.present.any()


def test_equal_texts_are_encoded_once_and_every_item_gets_its_vector(tmp_path, stub):
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(60)] * 2
    ids = write_items(tmp_path / "items.parquet", texts)
    extract_texts(tmp_path / "items.parquet", "stub", STUB, tmp_path / "text.parquet", domain="shop")
    found = read_features(tmp_path / "text.parquet", ids)
    np.testing.assert_array_equal(found.embeddings, as_stored(stub.texts(texts)))
    assert sum(map(len, stub.batches)) == len(set(texts))


def test_batches_hold_texts_of_similar_length(tmp_path, stub):
    write_items(tmp_path / "items.parquet", ["x" * (1 + 7 * n % 40) + str(n) for n in range(40)])
    extract_texts(tmp_path / "items.parquet", "stub", STUB, tmp_path / "text.parquet", domain="shop")
    lengths = [batch[:, 0] for batch in stub.batches]
    assert all(before.max() <= after.min() for before, after in pairwise(lengths))


def test_an_interrupted_extraction_resumes_with_the_same_result(tmp_path, stub):
    ids = write_items(tmp_path / "items.parquet", [f"text {n}" for n in range(39)])
    output = tmp_path / "features" / "text.parquet"

    def run():
        extract_texts(tmp_path / "items.parquet", "stub", STUB, output, domain="shop")

    run()
    whole = output.read_bytes()
    output.unlink()
    stub.batches.clear()
    # Ten batches, two a part: the third part is lost.
    stub.fails_after = 5
    with suppress(KeyboardInterrupt):
        run()
    assert not output.exists()
    stub.fails_after = None
    run()
    assert output.read_bytes() == whole
    assert len(stub.batches) == 5 + 6
    assert [path.name for path in output.parent.iterdir()] == ["text.parquet"]
    assert read_features(output, ids).present.all()


def test_changed_texts_are_all_encoded_again(tmp_path, stub):
    items, output = tmp_path / "items.parquet", tmp_path / "text.parquet"
    write_items(items, [f"text {n}" for n in range(39)])
    stub.fails_after = 5
    with suppress(KeyboardInterrupt):
        extract_texts(items, "stub", STUB, output, domain="shop")
    stub.fails_after = None
    texts = [f"other {n}" for n in range(39)]
    ids = write_items(items, texts)
    extract_texts(items, "stub", STUB, output, domain="shop")
    np.testing.assert_array_equal(read_features(output, ids).embeddings, as_stored(stub.texts(texts)))


def test_pictures_of_known_items_are_encoded_and_equal_pictures_once(tmp_path, stub):
    ids = write_items(tmp_path / "items.parquet", [None] * 12)
    bodies = {item: picture(number % 5) for number, item in enumerate(ids[:10])} | {"of another domain": picture(9)}
    media = write_media(tmp_path / "media", bodies, i10="dead", i11="oversize")
    output = tmp_path / "vision.parquet"
    extract_pictures(tmp_path / "items.parquet", media, "stub", STUB, output, domain="shop")
    found = read_features(output, ids)
    assert np.flatnonzero(~found.present).tolist() == [10, 11]
    expected = stub.pictures([Image.open(io.BytesIO(bodies[item])) for item in ids[:10]])
    np.testing.assert_array_equal(found.embeddings[:10], as_stored(expected))
    assert sum(map(len, stub.batches)) == 5


def test_a_picture_damaged_after_the_crawl_is_an_error(tmp_path, stub):
    ids = write_items(tmp_path / "items.parquet", [None] * 3)
    media = write_media(tmp_path / "media", {item: picture(number) for number, item in enumerate(ids)})
    (media / "files" / "i1").write_bytes(picture(1)[:100])
    with pytest.raises(FeatureError, match="cannot be decoded") as error:
        extract_pictures(tmp_path / "items.parquet", media, "stub", STUB, tmp_path / "vision.parquet", domain="shop")
    assert "i1" in str(error.value)
    assert not (tmp_path / "vision.parquet").exists()


def test_a_domain_without_pictures_is_an_error(tmp_path, stub):
    write_items(tmp_path / "items.parquet", [None])
    media = write_media(tmp_path / "media", {"other": picture(0)}, i0="dead")
    with pytest.raises(FeatureError, match="No item of the domain has a picture") as error:
        extract_pictures(tmp_path / "items.parquet", media, "stub", STUB, tmp_path / "vision.parquet", domain="shop")
    assert "where: shop: " in str(error.value)


def frame_table(path, counts):
    """Frames of items, the videos of a row group as in `VIDEOS_A_ROW_GROUP`."""
    rows = [
        {"item_id": item, "frame_index": n, "seconds": n / 1, "jpeg": picture(100 * number + n, kind="JPEG")}
        for number, (item, count) in enumerate(counts.items())
        for n in range(count)
    ]
    part = path.with_suffix(".part")
    write_table(part, pl.DataFrame(rows).to_arrow(), SCHEMAS["frames"], {"undecodable": "{}"})
    metadata = {"sampling": '{"rule":"first"}', "undecodable": "{}"}
    frame_tables.write_batches(path, frame_tables._row_groups([part]), SCHEMAS["frames"], metadata)
    return {item: [row["jpeg"] for row in rows if row["item_id"] == item] for item in counts}


def test_frames_that_do_not_tell_how_they_were_sampled_are_an_error(tmp_path, stub):
    write_items(tmp_path / "items.parquet", [None])
    path = tmp_path / "frames.parquet"
    write_table(path, SCHEMAS["frames"].empty_table(), SCHEMAS["frames"], {"undecodable": "{}"})
    with pytest.raises(ArtifactError, match="sampled") as error:
        extract_frames(tmp_path / "items.parquet", path, "stub", STUB, tmp_path / "v.parquet", domain="films")
    assert "undecodable" in str(error.value)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_features_of_a_video_are_the_mean_of_its_frames(tmp_path, stub, batch_size):
    stub.batch_size = batch_size
    ids = write_items(tmp_path / "items.parquet", [None] * 14)
    rng = np.random.default_rng(0)
    counts = {item: int(rng.integers(1, 6)) for item in ["unknown", *ids[:12]]}
    jpegs = frame_table(tmp_path / "frames.parquet", counts)
    output = tmp_path / "vision.parquet"
    extract_frames(tmp_path / "items.parquet", tmp_path / "frames.parquet", "stub", STUB, output, domain="films")
    found = read_features(output, ids)
    assert np.flatnonzero(~found.present).tolist() == [12, 13]
    for row, item in enumerate(ids[:12]):
        expected = stub.pictures([Image.open(io.BytesIO(jpeg)) for jpeg in jpegs[item]]).mean(0)
        np.testing.assert_allclose(found.embeddings[row], expected, rtol=1e-3)
    stored = dict(pl.read_parquet(output, columns=["item_id", "frames"]).iter_rows())
    assert stored == {item: counts[item] for item in ids[:12]}
    assert '"rule":"first"' in read_provenance(output).preprocessing


def test_videos_become_features(tmp_path, stub, capfd):
    ids = write_items(tmp_path / "items.parquet", [None] * 4)
    clips = dict(zip(ids, ["constant.mp4", "audio.mp4", "vp9.webm", "untimed.avi"], strict=True))
    media = write_media(tmp_path / "media", {item: (CLIPS / clip).read_bytes() for item, clip in clips.items()})
    table = tmp_path / "frames.parquet"
    sample_frames(media, Frames(rule="uniform", count=4, size=32, quality=90), table)
    assert pl.read_parquet(table).group_by("item_id", maintain_order=True).len().rows() == [
        ("i0", 4),
        ("i2", 4),
        ("i3", 4),
    ]
    assert list(frame_tables.read_undecodable(table)) == ["i1"]
    output = tmp_path / "vision.parquet"
    extract_frames(tmp_path / "items.parquet", table, "stub", STUB, output, domain="films")
    assert read_features(output, ids).present.tolist() == [True, False, True, True]


def test_a_ledger_whose_videos_are_all_broken_is_an_error(tmp_path, capfd):
    media = write_media(tmp_path / "media", {"a": b"<html>", "b": b""}, c="dead")
    with pytest.raises(FeatureError, match="No video of the ledger can be decoded"):
        sample_frames(media, Frames(rule="uniform", count=4, size=32, quality=90), tmp_path / "frames.parquet")
    assert not (tmp_path / "frames.parquet").exists()
