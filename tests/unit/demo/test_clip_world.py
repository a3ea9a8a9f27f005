import csv
import io
import json
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.crawl.clips import collect_clips
from mmsrec.demo import clip_shards
from mmsrec.demo.clip_shards import CAPTIONLESS, REPOSITORY, write_shards
from mmsrec.demo.clip_world import CAPTIONS
from mmsrec.demo.faults import CLIP_FAULTS
from mmsrec.demo.server import serving
from mmsrec.demo.taste_world import SIZES
from mmsrec.demo.words import vocabulary
from mmsrec.features.frame_sampler import sample_video
from mmsrec.settings.corpora import CaptionSplit, ClipCorpus
from mmsrec.settings.encoding import Frames
from mmsrec.sources.captions import ingest_clips
from mmsrec.sources.hub import download_shards
from mmsrec.sources.listing import Selection
from mmsrec.sources.shards import read_clips
from tests.unit.crawl.examples import ledger, policy
from tests.unit.demo.test_drawings import apart

SIZE = SIZES["test"].corpus
WIDTH = 48
FILES = "data/train/*.tar"


def encode(images):
    """The colours of 4 x 4 tiles."""
    return np.stack([np.asarray(image.resize((4, 4))).reshape(-1) for image in images]).astype(np.float32) / 255


@pytest.fixture(scope="module")
def shards(world, tmp_path_factory):
    """A mirror with the shards of the test-sized world."""
    folder = tmp_path_factory.mktemp("mirror")
    assert write_shards(folder, world.corpus, encode, "tiles", batch=16) == SIZE.shards
    return folder


@pytest.fixture
def rows(files, tmp_path):
    """The clips of a corpus as the pipeline reads them, below a folder of raw files."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    def read(corpus):
        ingest_clips(corpus, tmp_path, tmp_path / "ingested")
        return [read_table(tmp_path / f"ingested/{name}.parquet", SCHEMAS["items"]) for name in ("items", "captions")]

    return read


def corpus_row(name, videos="demo/{item_id}.mp4", **fields):
    return ClipCorpus(kind="clips", captions=f"demo/{name}", videos=videos, **fields)


def test_captions_name_the_colour_and_the_pattern(world):
    rings = vocabulary("clips").rings
    turns = {word: number / len(rings["hue"]) for number, row in enumerate(rings["hue"]) for word in row["hue"]}
    clips = [clip for shard in world.corpus.shards for clip in shard]
    named = [(word, clip) for clip in clips for word in turns if f" {word} " in f" {clip.caption} ".replace(",", " ")]
    assert len(named) > 0.9 * len(clips)
    assert np.mean([apart(turns[word], clip.look.hue) < 1.5 / len(rings["hue"]) for word, clip in named]) > 0.9


def test_the_pipeline_downloads_the_shards_and_reads_their_clips(world, shards, tmp_path):
    selection = Selection(REPOSITORY, "main", FILES)
    listing = download_shards(selection, tmp_path, [shards])
    assert [shard.path for shard in listing.shards] == [f"data/train/{number:05d}.tar" for number in range(SIZE.shards)]
    problems = Counter()
    clips = [clip for shard in listing.shards for clip in read_clips(tmp_path / shard.path, WIDTH, problems)]
    known = {clip.key: clip for shard in world.corpus.shards for clip in shard}

    assert problems == {"a clip has no .txt": SIZE.shards * (SIZE.shard // CAPTIONLESS)}
    assert len(clips) == len(known) - problems.total()
    for clip in clips:
        assert clip.caption == known[clip.key].caption
        assert clip.frames.shape == (known[clip.key].seconds, WIDTH)


def test_words_and_features_agree(shards):
    paths = sorted((shards / "hub" / REPOSITORY).glob(FILES))
    clips = [clip for path in paths for clip in read_clips(path, WIDTH, Counter())]
    features = np.stack([clip.frames.mean(axis=0) for clip in clips]).astype(np.float64)
    words = CountVectorizer(ngram_range=(1, 2), min_df=2).fit_transform([clip.caption for clip in clips]).toarray()
    known = len(clips) * 3 // 4
    predicted = Ridge(alpha=5).fit(words[:known], features[:known]).predict(words[known:])
    distances = ((predicted[:, None] - features[None, known:]) ** 2).sum(axis=2)
    ranks = (distances < np.diag(distances)[:, None]).sum(axis=1)
    assert (ranks < 5).mean() > 3 * 5 / len(ranks)


def test_shards_are_written_once_and_again_for_another_encoder(world, shards, monkeypatch):
    folder = shards / "hub" / REPOSITORY / "data/train"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert write_shards(shards, world.corpus, encode, "tiles", batch=16) == 0
    (folder / "00001.tar").unlink()
    assert write_shards(shards, world.corpus, encode, "tiles", batch=16) == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    monkeypatch.setattr(clip_shards, "_write_shard", lambda *_: None)
    assert write_shards(shards, world.corpus, encode, "other tiles", batch=16) == SIZE.shards


def test_the_tables_have_the_format_of_msr_vtt(files):
    table = json.loads(files["demo/MSRVTT_data.json"])
    counts = Counter(row["video_id"] for row in table["sentences"])
    assert counts == {f"video{number}": CAPTIONS for number in range(SIZE.videos)}
    assert Counter(row["split"] for row in table["videos"]) == {
        "test": SIZE.test_videos,
        "train": SIZE.videos - SIZE.test_videos,
    }
    text = files["demo/MSRVTT_JSFUSION_test.csv"].decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["key", "vid_key", "video_id", "sentence"]
    captions = {(row["video_id"], row["caption"]) for row in table["sentences"]}
    assert all((row["video_id"], row["sentence"]) in captions for row in rows)
    assert any("," in row["sentence"] for row in rows)
    assert any('"' in row["sentence"] for row in rows)


def test_the_pipeline_reads_and_splits_the_captions(rows):
    clips, captions = rows(corpus_row("MSRVTT_JSFUSION_test.csv"))
    assert (clips.num_rows, captions.num_rows) == (SIZE.test_videos, SIZE.test_videos)
    clips, captions = rows(corpus_row("MSRVTT_data.json", split=CaptionSplit(exclude="demo/MSRVTT_JSFUSION_test.csv")))
    rest = SIZE.videos - SIZE.test_videos
    assert (clips.num_rows, captions.num_rows) == (rest, CAPTIONS * rest)


def test_the_videos_of_a_corpus_are_fetched_except_faulty_ones(world, mirror, rows, tmp_path):
    with serving(mirror, port=0) as base:
        corpus = corpus_row("MSRVTT_JSFUSION_test.csv", f"{base}/clips/{{item_id}}.mp4")
        collect_clips(rows(corpus)[0], tmp_path / "media", corpus, policy(read_timeout=10, total_timeout=20), tmp_path)
    faults = {video.video_id: video.fault for video in world.corpus.videos if video.is_test}
    assert set(faults.values()) == {None, *CLIP_FAULTS}
    for item, row in ledger(tmp_path / "media").items():
        fault = faults.pop(item)
        assert row["state"] == {"gone": "dead", "truncated": "undecodable"}.get(fault, "ok")
        if row["path"]:
            sample_video(tmp_path / "media" / row["path"], Frames(rule="uniform", count=2, size=64, quality=90))
    assert not faults
