"""Makes shards of pairs from shards of clips: encodes the captions and keeps the clips' own frame features."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import count, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mmsrec.artifacts import open_table, pairs_schema
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.encoders import Encoder, encoder_digest, load_encoder
from mmsrec.features.feature_file import Provenance
from mmsrec.pairs.shard_files import INDEX
from mmsrec.pairs.write import finalise, finite, frames_column, shard_name, vectors_column, write_shard
from mmsrec.progress import progress
from mmsrec.settings import encoding
from mmsrec.settings.corpora import ShardCorpus
from mmsrec.sources.listing import LISTING, Shard, read_listing
from mmsrec.sources.shards import Clip, read_clips
from mmsrec.workers import prefetch

logger = logging.getLogger(__name__)

CLIPS_A_CHUNK = 1024
# Metadata keys of a shard: everything that it depends on, and the number of clips left out by reason.
IDENTITY = "identity"
LEFT_OUT = "left_out"


def encode_pairs(
    corpus: ShardCorpus, raw: Path, name: str, row: encoding.Encoder, output: Path, *, shard: int | None = None
) -> None:
    """Writes a shard of pairs for each shard of clips, unless one with these settings exists, and finalises the folder.

    Args:
        corpus: the rule that selects frames, and whether to store them or their mean.
        raw: folder of the corpus, with its shards.json.
        name: name of the encoder's row in the parameters.
        row: the encoder's row. It must be the encoder that made the frame features.
        output: folder of the pairs.
        shard: number of the only shard to write, for one job of many; the folder is then not finalised.

    Raises:
        ArtifactError: the corpus is not downloaded, or has no shard of this number.
        FeatureError: the encoder is not available or reads no texts, or no clip of a shard fits it.
        ParseError: a shard is damaged.
    """
    shards = read_listing(raw / LISTING).shards
    numbers = range(len(shards)) if shard is None else [_known(shard, shards, raw)]
    identities = {number: _identity(corpus, shards[number], row) for number in numbers}
    todo = [number for number in numbers if _written(output / shard_name(number)) != identities[number]]
    logger.info("%s: %d of %d shards exist", output, len(numbers) - len(todo), len(numbers))
    if todo:
        (output / INDEX).unlink(missing_ok=True)
        encoder = load_encoder(name, row)
        with progress("encode pairs", len(todo), "shard") as bar:
            for number in todo:
                path = output / shard_name(number)
                encode_shard(corpus, raw / shards[number].path, encoder, path, identities[number])
                bar.update()
    if shard is None:
        finalise(output, [shard_name(number) for number in numbers])


def encode_shard(corpus: ShardCorpus, clips: Path, encoder: Encoder, output: Path, identity: str) -> Counter[str]:
    """Writes one shard of pairs; errors as in `encode_pairs`.

    Args:
        corpus: the rule that selects frames, and whether to store them or their mean.
        clips: the tar shard.
        encoder: the encoder of the captions.
        output: the Parquet file.
        identity: written to the file's metadata.

    Returns:
        The number of clips left out, by reason; the file's metadata hold it too.
    """
    left_out: Counter[str] = Counter()
    captions = _Captions(encoder)
    preprocessing = f"frames {corpus.frames} {corpus.count}, as the corpus has them; {captions.preprocessing}"
    provenance = Provenance(encoder.name, encoder.digest, "vision and text", preprocessing, encoder.weights)

    def tables() -> Iterator[pa.Table]:
        read = _chunks(read_clips(clips, encoder.dim, left_out), corpus, left_out)
        for chunk in takewhile(bool, prefetch(lambda _: next(read, None), count(), 1)):
            yield _table(chunk, captions.encode(chunk.captions), corpus)

    def notes() -> dict[str, str]:
        return {IDENTITY: identity, LEFT_OUT: json.dumps(left_out, sort_keys=True)}

    schema = pairs_schema(encoder.dim, encoder.dim, corpus.keep)
    pairs = write_shard(output, _some(tables(), clips, encoder, left_out), schema, provenance, notes)
    logger.info("%s: %s pairs; left out: %s", output, f"{pairs:,}", dict(left_out) or "none")
    return left_out


class _Chunk(NamedTuple):
    """Some clips: keys, captions, selected frames (float16 [frames of all clips, width]) and frames of each clip."""

    keys: list[str]
    captions: list[str]
    frames: np.ndarray
    counts: np.ndarray


class _Captions:
    """Encodes captions; equal captions are encoded once."""

    def __init__(self, encoder: Encoder) -> None:
        self._tower = encoder.tower("text")
        self._known: dict[str, np.ndarray] = {}
        self.preprocessing = self._tower.preprocessing

    def encode(self, captions: Sequence[str]) -> np.ndarray:
        """float32 [captions, width]."""
        size = self._tower.batch_size
        # Sorted by length, then by content: the last bits of a vector depend on its batch.
        new = sorted(
            {caption for caption in captions if caption not in self._known}, key=lambda text: (len(text), text)
        )
        batches = [new[start : start + size] for start in range(0, len(new), size)]
        for batch, vectors in zip(batches, self._tower.vectors(list, batches), strict=True):
            self._known.update(zip(batch, vectors, strict=True))
        return np.stack([self._known[caption] for caption in captions])


def uniform(frames: np.ndarray, count: int) -> np.ndarray:
    """The frames at the middles of `count` equal parts; all frames if there are at most `count`."""
    if len(frames) <= count:
        return frames
    return frames[((np.arange(count) + 0.5) * len(frames) / count).astype(np.int64)]


def first(frames: np.ndarray, count: int) -> np.ndarray:
    """The first `count` frames."""
    return frames[:count]


RULES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"uniform": uniform, "first": first}


def _chunks(clips: Iterator[Clip], corpus: ShardCorpus, left_out: Counter[str]) -> Iterator[_Chunk]:
    choose = RULES[corpus.frames]
    while some := list(islice(clips, CLIPS_A_CHUNK)):
        kept = []
        for clip in some:
            with np.errstate(over="ignore"):  # an overflow becomes an infinity, which is counted below
                frames = choose(clip.frames, corpus.count).astype(np.float16)
            if finite(frames).all():
                kept.append((clip.key, clip.caption, frames))
            else:
                left_out["a frame's vector is too large for float16"] += 1
        if kept:
            keys, captions, frames = zip(*kept, strict=True)
            yield _Chunk(list(keys), list(captions), np.concatenate(frames), np.array([len(part) for part in frames]))


def _table(chunk: _Chunk, texts: np.ndarray, corpus: ShardCorpus) -> pa.Table:
    if corpus.keep == "frames":
        vision = {"frames": frames_column(chunk.frames, chunk.counts)}
    else:
        starts = np.cumsum(chunk.counts) - chunk.counts
        means = np.add.reduceat(chunk.frames, starts, axis=0, dtype=np.float32) / chunk.counts[:, None]
        vision = {"vision": vectors_column(means)}
    # A vector of zeros means that the encoder knows no part of the text.
    text = vectors_column(texts, ~texts.any(axis=1))
    return pa.table({"pair_id": pa.array(chunk.keys, pa.string()), **vision, "text": text})


def _some(tables: Iterator[pa.Table], clips: Path, encoder: Encoder, left_out: Counter[str]) -> Iterator[pa.Table]:
    """Yields the tables; none at all is an error."""
    first_table = next(tables, None)
    if first_table is None:
        raise FeatureError(
            "A shard has no usable clip.",
            where=clips,
            expected=f"clips with a caption and frame features of width {encoder.dim}, the width of {encoder.name}",
            found="; ".join(f"{number:,} times {reason}" for reason, number in left_out.most_common()) or "no clips",
            fix="Name the encoder that made the frame features, or leave the shard out of the corpus's files.",
        )
    yield first_table
    yield from tables


def _known(shard: int, shards: Sequence[Shard], raw: Path) -> int:
    if not 0 <= shard < len(shards):
        raise ArtifactError(
            "A corpus has no shard of this number.",
            where=raw / LISTING,
            expected=f"0 to {len(shards) - 1}",
            found=shard,
        )
    return shard


def _identity(corpus: ShardCorpus, shard: Shard, row: encoding.Encoder) -> str:
    settings = corpus.model_dump(include={"frames", "count", "keep"})
    known = [encoder_digest(row), shard.path, shard.sha256, settings]
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _written(path: Path) -> str | None:
    """The identity of a shard of pairs; None if the shard is missing or damaged."""
    if not path.exists():
        return None
    try:
        with open_table(path) as file:
            return (file.metadata.metadata or {}).get(IDENTITY.encode(), b"").decode()
    except ArtifactError:
        return None
