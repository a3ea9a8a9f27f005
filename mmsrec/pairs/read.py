"""Reads a folder of pairs of vision and text features as a stream, in a shuffled order.

An epoch permutes the row groups of all shards, cuts them into windows of a bounded size, and permutes the rows of each
window. Shuffling therefore costs no more than a sequential read, and memory does not grow with the corpus. The order
depends on the seed and the epoch only, so a resumed run and any number of processes see the same order.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.pairs.shard_files import INDEX, Footer, damaged, read_footer, read_group, read_ids, read_index
from mmsrec.workers import cores, prefetch

WINDOW_BYTES = 2**27
# Threads that decode row groups.
DECODERS = 4
# Stream of the permutation of row groups; window w has stream w + 1.
_GROUPS = 0


class PairBatch(NamedTuple):
    """Features of some pairs; zeros where a vector is missing.

    Attributes:
        vision: float16 [pairs, width].
        vision_present: bool [pairs].
        text: float16 [pairs, width].
        text_present: bool [pairs].
    """

    vision: np.ndarray
    vision_present: np.ndarray
    text: np.ndarray
    text_present: np.ndarray

    @classmethod
    def empty(cls, pairs: int, vision: int, text: int) -> "PairBatch":
        """Pairs without features, whose vectors have these widths."""
        return cls(
            np.zeros((pairs, vision), np.float16),
            np.zeros(pairs, bool),
            np.zeros((pairs, text), np.float16),
            np.zeros(pairs, bool),
        )

    def rows(self, rows: slice | np.ndarray) -> "PairBatch":
        """Some of the pairs."""
        return PairBatch(*(column[rows] for column in self))


class _Window(NamedTuple):
    """A part of an epoch's order: the rows of `groups`, permuted with the seed `draw`."""

    start: int
    rows: int
    groups: np.ndarray
    draw: tuple[int, int, int]

    @property
    def end(self) -> int:
        return self.start + self.rows


class Pairs:
    """The pairs of a folder that `write.finalise` has completed. Opening reads the index and the shards' footers.

    Args:
        folder: the shards and index.json.
        expected_digest: identity of the encoder that must have made the features (`encoders.pairs_digest`).
        window_bytes: bytes of features that are shuffled together; memory holds up to five times as many.

    Attributes:
        rows: the pairs of all shards.
        widths: components of a vector of each modality, vision and text.
        keep: mean or frames: whether the shards hold one vision vector for each pair, or one for each frame.

    Raises:
        ArtifactError: the folder is missing or not finalised, or a shard is missing, damaged or unlike its index.
        FeatureError: another encoder made the features.
    """

    def __init__(self, folder: Path, expected_digest: str | None = None, *, window_bytes: int = WINDOW_BYTES) -> None:
        self.folder = Path(folder)
        listed = read_index(self.folder)
        self._shards = [self.folder / name for name in sorted(listed)]
        footers = list(prefetch(read_footer, self._shards, cores()))
        self._schema, self.digest = footers[0].schema, footers[0].digest
        for path, footer in zip(self._shards, footers, strict=True):
            self._check(path, footer, listed[path.name], expected_digest)
        sizes = [footer.groups for footer in footers]
        self._sizes = np.concatenate(sizes)
        self._shard_of = np.repeat(np.arange(len(sizes)), [len(groups) for groups in sizes])
        self._group_of = np.concatenate([np.arange(len(groups)) for groups in sizes])
        self.rows = int(self._sizes.sum())
        self.widths = footers[0].widths
        self.keep = "frames" if "frames" in self._schema.names else "mean"
        self._window_rows = max(1, window_bytes // (2 * sum(self.widths.values())))

    def __len__(self) -> int:
        return self.rows

    def steps(self, batch_size: int) -> int:
        """The batches of an epoch, without a last batch of a single pair, which has no negatives."""
        return self.rows // batch_size + (self.rows % batch_size >= 2)

    def batches(
        self, batch_size: int, seed: int, epoch: int, *, first: int = 0, share: tuple[int, int] = (0, 1)
    ) -> Iterator[PairBatch]:
        """The batches of an epoch in its order, prefetched by a thread; the last batch may be smaller.

        Args:
            batch_size: pairs in a batch, summed over all processes.
            seed: seed of the order.
            epoch: number of the epoch, from 0.
            first: batches to skip; windows that only they need are not read.
            share: (rank, processes): yields this rank's contiguous part of each batch. The parts of all ranks make up
                the batch; their sizes differ by at most one pair.

        Raises:
            ArtifactError: a shard is damaged.
        """
        rank, processes = share
        windows = [window for window in self._windows(seed, epoch) if window.end > first * batch_size]
        stream = _Stream(prefetch(self._read_window, windows, 1), windows[0].start if windows else 0, self.widths)
        for number in range(first, self.steps(batch_size)):
            start = number * batch_size
            size = min(batch_size, self.rows - start)
            yield stream.take(start + size * rank // processes, start + size * (rank + 1) // processes)

    def read_all(self) -> tuple[list[str], PairBatch]:
        """The ids and features of all pairs, in stored order.

        Raises:
            ArtifactError: a shard is damaged.
        """
        ids = pa.chunked_array([column for path in self._shards for column in read_ids(path, self._schema).chunks])
        return ids.to_pylist(), self._read(np.arange(len(self._sizes)))

    def _windows(self, seed: int, epoch: int) -> Iterator[_Window]:
        groups = np.random.default_rng((seed, epoch, _GROUPS)).permutation(len(self._sizes))
        ends = np.cumsum(self._sizes[groups])
        starts = ends - self._sizes[groups]
        cuts = np.flatnonzero(np.diff(starts // self._window_rows)) + 1
        for number, part in enumerate(np.split(np.arange(len(groups)), cuts)):
            start, end = int(starts[part[0]]), int(ends[part[-1]])
            yield _Window(start, end - start, groups[part], (seed, epoch, number + 1))

    def _read_window(self, window: _Window) -> tuple[PairBatch, np.ndarray]:
        return self._read(window.groups), np.random.default_rng(window.draw).permutation(window.rows)

    def _read(self, groups: np.ndarray) -> PairBatch:
        ends = np.cumsum(self._sizes[groups])
        pairs = PairBatch.empty(int(ends[-1]), **self.widths)

        def read(group: int, end: int) -> None:
            target = pairs.rows(slice(end - self._sizes[group], end))
            read_group(self._shards[self._shard_of[group]], self._group_of[group], self._schema, *target)

        with ThreadPoolExecutor(min(DECODERS, cores())) as decoders:
            deque(decoders.map(read, groups, ends), maxlen=0)
        return pairs

    def _check(self, path: Path, footer: Footer, rows: int, expected_digest: str | None) -> None:
        if not footer.schema.equals(self._schema):
            raise ArtifactError(
                "The shards of a folder of pairs differ in their columns.",
                where=path,
                expected=self._schema.to_string(),
                found=footer.schema.to_string(),
                fix="Delete the folder and run the stage that writes it.",
            )
        if footer.groups.sum() != rows:
            raise damaged(path, f"{footer.groups.sum():,} pairs, but {INDEX} says {rows:,}")
        if footer.digest != (expected_digest or self.digest):
            raise FeatureError(
                "A shard of pairs is stale: another encoder, or other settings of it, made it.",
                where=path,
                expected=f"an encoder with digest {expected_digest or self.digest}",
                found=f"one with digest {footer.digest}",
                fix="Run the stage that writes the pairs again, or restore the encoder's row in params.yaml.",
            )


class _Stream:
    """Concatenates windows, and gives out consecutive parts of them."""

    def __init__(self, windows: Iterator[tuple[PairBatch, np.ndarray]], start: int, widths: dict[str, int]) -> None:
        self._windows = windows
        self._pairs = PairBatch.empty(0, **widths)
        self._order = np.empty(0, np.int64)
        self._start = start

    def take(self, start: int, end: int) -> PairBatch:
        """The pairs at the places start .. end - 1 of the order; `start` must not fall below an earlier `end`."""
        parts = [self._overlap(start, end)]
        while self._start + len(self._order) < end:
            self._start += len(self._order)
            self._pairs, self._order = next(self._windows)
            parts.append(self._overlap(start, end))
        parts = [part for part in parts if len(part.vision)] or parts[:1]
        return parts[0] if len(parts) == 1 else PairBatch(*map(np.concatenate, zip(*parts, strict=True)))

    def _overlap(self, start: int, end: int) -> PairBatch:
        first, last = max(start - self._start, 0), max(end - self._start, 0)
        return self._pairs.rows(self._order[first:last])
