import json
from collections import Counter
from dataclasses import asdict
from hashlib import sha256

import numpy as np
import pytest

from mmsrec.artifacts import open_table
from mmsrec.errors import ArtifactError, FeatureError, ParseError
from mmsrec.features.encoders import Encoder, Tower, encoder_digest
from mmsrec.files import write_json
from mmsrec.pairs.encode import LEFT_OUT, encode_pairs, first, uniform
from mmsrec.pairs.read import Pairs
from mmsrec.pairs.shard_files import INDEX
from mmsrec.settings.corpora import ShardCorpus
from mmsrec.settings.encoding import OpenClipEncoder
from mmsrec.sources.listing import LISTING, Listing, Selection, Shard
from tests.unit.sources.tars import npy, some_clips, write_clips, write_tar

WIDTH = 8
ROW = OpenClipEncoder(kind="open_clip", model="ViT-B-32", weights="openai")


def corpus(**settings):
    row = {"repository": "a/b", "files": "*.tar", "frames": "uniform", "count": 4, "keep": "mean"}
    return ShardCorpus(kind="shards", **row | settings)


def vector(text):
    """The vector of a text from the encoder of these tests; zeros for the word `unknown`."""
    if text == "unknown":
        return np.zeros(WIDTH, np.float32)
    return np.random.default_rng(list(sha256(text.encode()).digest())).standard_normal(WIDTH).astype(np.float32)


@pytest.fixture
def encoded(monkeypatch):
    """The texts that were encoded, batch by batch, by an encoder that stands for the row's."""
    batches = []

    def encode(texts):
        batches.append(list(texts))
        return np.stack([vector(text) for text in texts])

    def load(name, row, corpus=()):
        tower = Tower(list, encode, batch_size=16, preprocessing="words", on_host=True)
        return Encoder(name, WIDTH, encoder_digest(row), "weights", {"text": tower})

    monkeypatch.setattr("mmsrec.pairs.encode.load_encoder", load)
    return batches


@pytest.fixture
def raw(tmp_path):
    """A corpus of three shards, as the download leaves it."""
    folder = tmp_path / "raw"
    clips = {f"train/{number}.tar": some_clips(40 + number, WIDTH, number, f"s{number}-") for number in range(3)}
    for path, parts in clips.items():
        write_clips(folder / path, parts)
    list_shards(folder)
    return folder, clips


def list_shards(folder):
    shards = [
        Shard(path.relative_to(folder).as_posix(), path.stat().st_size, sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*.tar"))
    ]
    write_json(folder / LISTING, asdict(Listing(Selection("a/b", "main", "*"), None, tuple(shards))))


def captions(parts):
    return {" ".join(caption.split()) for _, _, caption in parts}


def expected(clips, rule, count):
    """Ids, vision and text by the definition."""
    rows = [(key, frames, " ".join(caption.split())) for parts in clips.values() for key, frames, caption in parts]
    vision = [rule(frames, count).astype(np.float16).astype(np.float32).mean(axis=0) for _, frames, _ in rows]
    return [key for key, _, _ in rows], np.array(vision), np.array([vector(caption) for _, _, caption in rows])


@pytest.mark.parametrize("keep", ["mean", "frames"])
@pytest.mark.parametrize(("frames", "rule"), [("uniform", uniform), ("first", first)])
def test_pairs_hold_the_mean_of_the_chosen_frames_and_the_caption(raw, encoded, tmp_path, keep, frames, rule):
    folder, clips = raw
    encode_pairs(corpus(frames=frames, keep=keep), folder, "clip", ROW, tmp_path / "pairs")
    opened = Pairs(tmp_path / "pairs", encoder_digest(ROW))
    ids, found = opened.read_all()
    names, vision, text = expected(clips, rule, 4)

    assert opened.keep == keep
    assert ids == names
    np.testing.assert_allclose(found.vision, vision, rtol=2e-3, atol=1e-3)
    np.testing.assert_array_equal(found.text, text.astype(np.float16))
    assert found.vision_present.all()
    assert found.text_present.all()


def test_a_caption_is_encoded_once_a_shard(raw, encoded, tmp_path):
    folder, clips = raw
    encode_pairs(corpus(), folder, "clip", ROW, tmp_path / "pairs")

    counts = Counter(text for batch in encoded for text in batch)
    assert counts == Counter(caption for parts in clips.values() for caption in captions(parts))
    assert max(map(len, encoded)) == 16


def test_the_rules_select_frames():
    frames = np.arange(10)
    assert list(uniform(frames, 5)) == [1, 3, 5, 7, 9]
    assert list(uniform(frames, 3)) == [1, 5, 8]
    assert list(uniform(frames, 1)) == [5]
    assert list(uniform(frames, 10)) == list(uniform(frames, 99)) == list(frames)
    assert list(first(frames, 3)) == [0, 1, 2]
    assert list(first(frames, 99)) == list(frames)


def test_each_shard_may_be_written_by_its_own_job(raw, encoded, tmp_path):
    folder, clips = raw
    for number in (2, 0):
        encode_pairs(corpus(), folder, "clip", ROW, tmp_path / "pairs", shard=number)
    assert not (tmp_path / "pairs" / INDEX).exists()
    with pytest.raises(ArtifactError, match="not complete"):
        Pairs(tmp_path / "pairs")

    encoded.clear()
    encode_pairs(corpus(), folder, "clip", ROW, tmp_path / "pairs")
    assert {text for batch in encoded for text in batch} == captions(clips["train/1.tar"])
    one_job = tmp_path / "one"
    encode_pairs(corpus(), folder, "clip", ROW, one_job)
    for path in one_job.iterdir():
        assert path.read_bytes() == (tmp_path / "pairs" / path.name).read_bytes()


def test_a_second_run_encodes_only_what_changed(raw, encoded, tmp_path):
    folder, _ = raw
    output = tmp_path / "pairs"
    encode_pairs(corpus(), folder, "clip", ROW, output)
    times = {path.name: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    encoded.clear()
    encode_pairs(corpus(), folder, "clip", ROW, output)
    assert encoded == []

    (output / "00000.parquet").write_bytes((output / "00000.parquet").read_bytes()[:-20])
    write_clips(folder / "train/2.tar", some_clips(5, WIDTH, 7, "new"))
    list_shards(folder)
    encode_pairs(corpus(), folder, "clip", ROW, output)
    changed = {path.name for path in output.glob("*.parquet") if path.stat().st_mtime_ns != times[path.name]}
    assert changed == {"00000.parquet", "00002.parquet"}
    assert len(Pairs(output)) == 40 + 41 + 5

    encode_pairs(corpus(count=2), folder, "clip", ROW, output)
    other = ROW.model_copy(update={"weights": "laion2b_s34b_b79k"})
    encode_pairs(corpus(count=2), folder, "clip", other, output)
    assert Pairs(output).digest == encoder_digest(other)


def test_unusable_clips_are_counted_in_the_metadata(encoded, tmp_path):
    frames = np.ones((3, WIDTH), np.float32)
    members = [
        *(("a.npy", npy(frames)), ("a.txt", b"unknown")),
        *(("b.npy", npy(frames * 1e6)), ("b.txt", b"too large")),
        *(("c.npy", npy(frames[:, 1:])), ("c.txt", b"too narrow")),
        *(("d.npy", npy(frames)), ("d.txt", b"")),
        *(("e.npy", npy(frames)), ("e.txt", b"right")),
    ]
    write_tar(tmp_path / "raw/0.tar", members)
    list_shards(tmp_path / "raw")
    encode_pairs(corpus(), tmp_path / "raw", "clip", ROW, tmp_path / "pairs")
    ids, found = Pairs(tmp_path / "pairs").read_all()

    assert ids == ["a", "e"]
    assert list(found.text_present) == [False, True]
    assert list(found.vision_present) == [True, True]
    with open_table(tmp_path / "pairs/00000.parquet") as file:
        left_out = json.loads(file.metadata.metadata[LEFT_OUT.encode()])
    assert left_out == {
        "a caption is empty": 1,
        "a frame's vector is too large for float16": 1,
        "an array is not of the shape (frames, 8)": 1,
    }


def test_features_of_another_width_are_an_error(encoded, tmp_path):
    write_clips(tmp_path / "raw/0.tar", some_clips(3, WIDTH + 1))
    list_shards(tmp_path / "raw")
    with pytest.raises(FeatureError, match="no usable clip") as caught:
        encode_pairs(corpus(), tmp_path / "raw", "clip", ROW, tmp_path / "pairs")
    assert "3 times an array is not of the shape (frames, 8)" in str(caught.value)
    assert "the width of clip" in str(caught.value)
    assert not list((tmp_path / "pairs").glob("*"))


def test_a_damaged_shard_stops_the_run_and_finished_shards_stay(raw, encoded, tmp_path):
    folder, _ = raw
    body = (folder / "train/1.tar").read_bytes()
    (folder / "train/1.tar").write_bytes(body[: len(body) // 2])
    with pytest.raises(ParseError, match="damaged") as caught:
        encode_pairs(corpus(), folder, "clip", ROW, tmp_path / "pairs")
    assert "1.tar" in str(caught.value)
    assert [path.name for path in (tmp_path / "pairs").iterdir()] == ["00000.parquet"]


def test_an_unknown_shard_number_and_a_missing_corpus_are_errors(raw, encoded, tmp_path):
    folder, _ = raw
    with pytest.raises(ArtifactError, match="no shard of this number"):
        encode_pairs(corpus(), folder, "clip", ROW, tmp_path / "pairs", shard=3)
    with pytest.raises(ArtifactError, match="missing"):
        encode_pairs(corpus(), tmp_path / "none", "clip", ROW, tmp_path / "pairs")
