"""Captioned clips: a corpus for pre-training, and videos in the format of MSR-VTT for its test."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmsrec.demo.faults import CLIP_FAULTS, spread
from mmsrec.demo.looks import Look, look_of
from mmsrec.demo.taste_world import FACTORS, CorpusSize, stream
from mmsrec.demo.trailer_films import frames
from mmsrec.demo.words import Draw, vocabulary

CAPTIONS = 5  # captions of a video; a clip of the shards has one
SECONDS = (2, 5)  # lengths of the shortest and the longest clip of the shards
VIDEO_SECONDS = 3


@dataclass(frozen=True)
class Clip:
    """A clip of the shards.

    Attributes:
        key: the clip's name.
        caption: a description of the picture.
        look: the look of the picture.
        seconds: the clip's length, which is also its number of frames.
    """

    key: str
    caption: str
    look: Look
    seconds: int


@dataclass(frozen=True)
class Video:
    """A video for the test; `fault` is a key of faults.CLIP_FAULTS, or None."""

    video_id: str
    captions: list[str]
    look: Look
    is_test: bool
    fault: str | None


@dataclass(frozen=True)
class Corpus:
    """Clips in shards, and other videos for the test."""

    name: str
    seed: int
    shards: list[list[Clip]]
    videos: list[Video]


def make_corpus(size: CorpusSize, seed: int, name: str) -> Corpus:
    """Makes a corpus whose captions have words from the vocabulary `name`."""
    random = stream(seed, name, "shards")
    shards = [
        [_clip(f"{shard:05d}{number:04d}", name, random) for number in range(size.shard)]
        for shard in range(size.shards)
    ]
    return Corpus(name, seed, shards, _videos(size, seed, name))


def _clip(key: str, name: str, random: np.random.Generator) -> Clip:
    taste = _taste(random)
    return Clip(key, _caption(name, taste, random), look_of(taste), int(random.integers(*SECONDS, endpoint=True)))


def _videos(size: CorpusSize, seed: int, name: str) -> list[Video]:
    random = stream(seed, name, "videos")
    order = stream(seed, name, "faults").permutation(size.test_videos)
    faults = spread(CLIP_FAULTS, size.videos, order)
    videos = []
    for number in range(size.videos):
        taste = _taste(random)
        captions = [_caption(name, taste, random) for _ in range(CAPTIONS)]
        is_test = number < size.test_videos
        videos.append(Video(f"video{number}", captions, look_of(taste), is_test, faults.get(number)))
    return videos


def _taste(random: np.random.Generator) -> np.ndarray:
    return random.uniform(0, 2 * np.pi, len(FACTORS))


def _caption(name: str, taste: np.ndarray, random: np.random.Generator) -> str:
    return Draw(vocabulary(name), taste, random).sentence("caption").lower()


def clip_frames(corpus: Corpus, clip: Clip) -> Iterator[np.ndarray]:
    """A clip's frames, one a second, uint8 [side, side, 3]."""
    return frames(clip.look, stream(corpus.seed, corpus.name, "clip", clip.key), clip.seconds)


def video_path(video: Video) -> str:
    """The path of a video below the media's base URL."""
    return f"clips/{video.video_id}.mp4"


def captions_json(corpus: Corpus) -> bytes:
    """The file MSRVTT_data.json: `videos`, and `sentences` in random order."""
    videos = [
        {"video_id": video.video_id, "split": "test" if video.is_test else "train", "id": number}
        for number, video in enumerate(corpus.videos)
    ]
    pairs = [(video.video_id, caption) for video in corpus.videos for caption in video.captions]
    order = stream(corpus.seed, corpus.name, "sentences").permutation(len(pairs))
    sentences = [
        {"caption": pairs[index][1], "video_id": pairs[index][0], "sen_id": number}
        for number, index in enumerate(order)
    ]
    return json.dumps({"videos": videos, "sentences": sentences}).encode("utf-8")


def jsfusion_csv(corpus: Corpus) -> bytes:
    """The file MSRVTT_JSFUSION_test.csv: key, vid_key, video_id and one sentence for each test video."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["key", "vid_key", "video_id", "sentence"])
    tested = [video for video in corpus.videos if video.is_test]
    for number, video in enumerate(tested):
        table.writerow([f"ret{number}", f"msr{video.video_id[5:]}", video.video_id, video.captions[0]])
    return text.getvalue().encode("utf-8")
