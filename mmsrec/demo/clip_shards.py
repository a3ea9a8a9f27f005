"""Writes a demo corpus in the format of CLIP-WebVid: tar shards of frame features and captions (WebDataset)."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmsrec.demo.clip_world import Clip, Corpus, clip_frames
from mmsrec.demo.media_files import digest_of
from mmsrec.files import atomic_path, read_json, write_json
from mmsrec.progress import progress
from mmsrec.workers import prefetch

REPOSITORY = "demo/CLIP-demo"
STAMP = "made.json"  # the digest of the shards' inputs
# One clip in so many has no caption, as in collections from the web.
CAPTIONLESS = 100
CHUNK = 50  # clips that are rendered together, while the chunk before is encoded

Encode = Callable[[Sequence[Image.Image]], np.ndarray]


def write_shards(mirror: Path, corpus: Corpus, encode: Encode, encoder: str, batch: int) -> int:
    """Writes the shards of a corpus below the mirror's folder of the hub, unless they exist.

    Args:
        mirror: folder of the mirror.
        corpus: the corpus of clips.
        encode: turns images into float32 [images, width].
        encoder: identity of `encode`; another identity makes the shards again.
        batch: images in a batch of `encode`.

    Returns:
        The number of shards written.
    """
    folder = mirror / "hub" / REPOSITORY
    paths = [folder / f"data/train/{number:05d}.tar" for number in range(len(corpus.shards))]
    made_from = digest_of([corpus.seed, corpus.shards, encoder, batch])
    if not ((folder / STAMP).is_file() and read_json(folder / STAMP) == {"made_from": made_from}):
        # The stamp comes first, so that the next run keeps the shards of a run that was killed.
        for path in paths:
            path.unlink(missing_ok=True)
        write_json(folder / STAMP, {"made_from": made_from})
    todo = [(path, clips) for path, clips in zip(paths, corpus.shards, strict=True) if not path.is_file()]
    with progress("encode clips", len(todo), "shard") as bar:
        for path, clips in todo:
            _write_shard(path, corpus, clips, encode, batch)
            bar.update()
    return len(todo)


def _write_shard(path: Path, corpus: Corpus, clips: Sequence[Clip], encode: Encode, batch: int) -> None:
    def render(some: Sequence[Clip]) -> list[Image.Image]:
        return [Image.fromarray(frame) for clip in some for frame in clip_frames(corpus, clip)]

    rendered = prefetch(render, (clips[start : start + CHUNK] for start in range(0, len(clips), CHUNK)), 1)
    features = np.concatenate(
        [encode(images[start : start + batch]) for images in rendered for start in range(0, len(images), batch)]
    )
    ends = np.cumsum([clip.seconds for clip in clips])
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, (clip, frames) in enumerate(zip(clips, np.split(features, ends[:-1]), strict=True)):
            for suffix, content in _members(number, clip, frames):
                info = tarfile.TarInfo(f"{clip.key}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def _members(number: int, clip: Clip, frames: np.ndarray) -> Iterator[tuple[str, bytes]]:
    facts = {"videoid": clip.key, "duration": f"PT00H00M{clip.seconds:02d}S", "page_dir": "demo"}
    yield "json", json.dumps(facts).encode("utf-8")
    array = io.BytesIO()
    np.save(array, frames.astype(np.float16), allow_pickle=False)
    yield "npy", array.getvalue()
    if (number + 1) % CAPTIONLESS:
        yield "txt", clip.caption.encode("utf-8")
