import json
import time
import tracemalloc

import numpy as np
import pytest

from mmsrec.pairs.read import PairBatch, Pairs
from mmsrec.pairs.shard_files import INDEX
from mmsrec.pairs.write import (
    ROWS_A_GROUP,
    write_pairs,
)
from tests.unit.pairs.stored_pairs import PROVENANCE, ROWS, TEXT, VISION, ids, some_pairs, write_frames, write_some


def masked(pairs):
    """The batch that a reader should return: zeros for absent features."""
    return PairBatch(
        np.where(pairs.vision_present[:, None], pairs.vision, 0),
        pairs.vision_present,
        np.where(pairs.text_present[:, None], pairs.text, 0),
        pairs.text_present,
    )


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def joined(batches):
    return PairBatch(*map(np.concatenate, zip(*batches, strict=True)))


@pytest.fixture(scope="module")
def pairs():
    return some_pairs()


@pytest.fixture(scope="module")
def folder(pairs, tmp_path_factory):
    return write_some(tmp_path_factory.mktemp("pairs"), pairs)


@pytest.fixture
def opened(folder):
    """Windows of about 1,500 pairs."""
    return Pairs(folder, "digest", window_bytes=1500 * 2 * (VISION + TEXT))


def test_stored_pairs_are_read_back(opened, pairs):
    names, found = opened.read_all()
    assert names == ids(ROWS)
    assert_equal(found, masked(pairs))
    assert (len(opened), opened.rows, opened.keep, opened.digest) == (ROWS, ROWS, "mean", "digest")
    assert opened.widths == {"vision": VISION, "text": TEXT}


def windows_by_hand(folder, seed, epoch, window_rows):
    """The order of an epoch, as the module describes it: the numbers of the pairs."""
    groups, start = [], 0
    for rows in json.loads((folder / INDEX).read_text())["shards"].values():
        groups += [np.arange(start + at, start + min(at + ROWS_A_GROUP, rows)) for at in range(0, rows, ROWS_A_GROUP)]
        start += rows
    permuted = [groups[group] for group in np.random.default_rng((seed, epoch, 0)).permutation(len(groups))]
    windows, passed = {}, 0
    for group in permuted:
        windows.setdefault(passed // window_rows, []).append(group)
        passed += len(group)
    order = []
    for number, parts in enumerate(windows.values()):
        rows = np.concatenate(parts)
        order.append(rows[np.random.default_rng((seed, epoch, number + 1)).permutation(len(rows))])
    return np.concatenate(order)


@pytest.mark.parametrize("batch_size", [2, 7, 300, 1024, 4999, 5000, 9000])
def test_the_order_matches_its_description_and_has_each_pair_once(opened, folder, pairs, batch_size):
    order = windows_by_hand(folder, 3, 1, 1500)
    batches = list(opened.batches(batch_size, 3, 1))

    assert sorted(order) == list(range(ROWS))
    assert len(batches) == opened.steps(batch_size)
    assert {len(batch.text) for batch in batches[:-1]} <= {batch_size}
    found = joined(batches)
    assert len(found.text) == ROWS - (ROWS % batch_size == 1)
    assert_equal(found, masked(pairs).rows(order[: len(found.text)]))


def test_orders_follow_the_seed_and_the_epoch(opened):
    def order(seed, epoch):
        return joined(opened.batches(1000, seed, epoch)).text.tobytes()

    orders = [order(*key) for key in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert len(set(orders)) == 4
    assert orders == [order(*key) for key in [(0, 0), (0, 1), (1, 0), (1, 1)]]


def test_a_batch_mixes_pairs_from_all_shards(opened, pairs):
    numbers = np.flatnonzero(pairs.text_present)
    first = next(opened.batches(500, 0, 0))
    found = np.sort(first.text[first.text_present, 0].astype(np.float64) * 8)
    assert len(np.unique(found // ROWS_A_GROUP)) >= 2
    assert np.median(np.diff(found)) < np.median(np.diff(numbers)) * 20
    assert (np.diff(first.text[first.text_present, 0].astype(np.float32)) < 0).mean() > 0.3


@pytest.mark.parametrize("processes", [2, 3, 8])
@pytest.mark.parametrize("batch_size", [5, 700, 4000])
def test_the_shares_of_all_ranks_are_the_batch(opened, batch_size, processes):
    whole = list(opened.batches(batch_size, 1, 2))
    shares = [list(opened.batches(batch_size, 1, 2, share=(rank, processes))) for rank in range(processes)]

    for batch, *parts in zip(whole, *shares, strict=True):
        assert_equal(joined(parts), batch)
        sizes = [len(part.text) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("first", [0, 1, 3, 7, 12])
def test_reading_resumes_at_a_batch(opened, first):
    whole = list(opened.batches(400, 1, 2))
    for share in [(0, 1), (1, 3)]:
        expected = list(opened.batches(400, 1, 2, share=share))[first:]
        found = list(opened.batches(400, 1, 2, first=first, share=share))
        assert len(found) == len(whole) - first
        for batch, other in zip(found, expected, strict=True):
            assert_equal(batch, other)
    assert list(opened.batches(400, 1, 2, first=len(whole))) == []


def test_skipped_windows_are_not_read(opened, monkeypatch):
    read = []
    monkeypatch.setattr("mmsrec.pairs.read.read_group", lambda path, group, *_: read.append((path, group)))
    list(opened.batches(400, 1, 2, first=12))
    assert 0 < len(read) <= 3


@pytest.mark.parametrize(("rows", "batch_size", "steps"), [(5, 2, 2), (4, 2, 2), (6, 4, 2), (5, 4, 1), (1, 4, 0)])
def test_a_last_batch_of_one_pair_is_left_out(tmp_path, rows, batch_size, steps):
    write_pairs(tmp_path, ids(rows), some_pairs(rows), PROVENANCE)
    opened = Pairs(tmp_path)
    assert opened.steps(batch_size) == steps == len(list(opened.batches(batch_size, 0, 0)))


def test_frames_are_averaged_when_they_are_read(tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, 2500)
    frames = rng.standard_normal((counts.sum(), VISION)).astype(np.float16)
    text = rng.standard_normal((2500, TEXT)).astype(np.float16)
    write_frames(tmp_path, frames, counts, text)
    opened = Pairs(tmp_path)
    _, found = opened.read_all()

    assert opened.keep == "frames"
    starts = np.cumsum(counts) - counts
    for number, (start, count) in enumerate(zip(starts, counts, strict=True)):
        assert found.vision_present[number] == (count > 0)
        mean = frames[start : start + count].astype(np.float32).mean(axis=0) if count else np.zeros(VISION)
        np.testing.assert_allclose(found.vision[number], mean.astype(np.float16), rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(found.text, text)
    shuffled = joined(opened.batches(999, 0, 0))
    numbers = {vector.tobytes(): number for number, vector in enumerate(text)}
    assert_equal(shuffled, found.rows(np.array([numbers[vector.tobytes()] for vector in shuffled.text])))


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    peaks = []
    for shards in (8, 32):
        path = tmp_path / str(shards)
        rows = shards * 4096
        wide = PairBatch.empty(rows, 64, 64)._replace(
            vision_present=np.ones(rows, bool), text_present=np.ones(rows, bool)
        )
        write_pairs(path, ids(rows), wide, PROVENANCE, rows_a_shard=4096)
        del wide
        opened = Pairs(path, window_bytes=2**19)
        tracemalloc.start()
        for _ in opened.batches(1000, 0, 0):
            time.sleep(0.005)  # the threads that read in advance reach their bound, in both corpora
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 8 * 2**19
