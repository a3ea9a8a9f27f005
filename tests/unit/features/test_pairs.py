import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from mmsrec.artifacts import pairs_schema
from mmsrec.errors import ArtifactError, FeatureError
from mmsrec.features.pairs import PairBatch, Pairs
from mmsrec.features.pairs_shards import INDEX
from mmsrec.features.pairs_write import (
    ROWS_A_GROUP,
    frames_column,
    pair_table,
    seal,
    vectors_column,
    write_pairs,
    write_shard,
)
from mmsrec.features.store import Provenance

PROVENANCE = Provenance("clip", "digest", "vision and text", "none", "weights")
ROWS, VISION, TEXT = 5000, 3, 5


def some_pairs(rows=ROWS, seed=0):
    """Pairs whose first components are their number; some lack one feature or both."""
    rng = np.random.default_rng(seed)
    vision, text = rng.standard_normal((rows, VISION)), rng.standard_normal((rows, TEXT))
    vision[:, 0] = text[:, 0] = np.arange(rows) / 8
    present = rng.random((2, rows)) < 0.9
    return PairBatch(vision.astype(np.float16), present[0], text.astype(np.float16), present[1])


def masked(pairs):
    """What a reader should give: zeros where there is nothing."""
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


def ids(rows):
    return [f"pair {number}" for number in range(rows)]


@pytest.fixture(scope="module")
def pairs():
    return some_pairs()


@pytest.fixture(scope="module")
def folder(pairs, tmp_path_factory):
    """Three shards of several row groups each."""
    path = tmp_path_factory.mktemp("pairs")
    write_pairs(path, ids(ROWS), pairs, PROVENANCE, rows_a_shard=2300)
    return path


@pytest.fixture
def opened(folder):
    """Windows of about 1,500 pairs."""
    return Pairs(folder, "digest", window_bytes=1500 * 2 * (VISION + TEXT))


def test_stored_pairs_come_back(opened, pairs):
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
def test_the_order_is_the_one_described_and_each_pair_comes_once(opened, folder, pairs, batch_size):
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


def test_pairs_of_a_batch_come_from_all_over(opened, pairs):
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
def test_a_run_goes_on_at_its_batch(opened, first):
    whole = list(opened.batches(400, 1, 2))
    for share in [(0, 1), (1, 3)]:
        expected = list(opened.batches(400, 1, 2, share=share))[first:]
        found = list(opened.batches(400, 1, 2, first=first, share=share))
        assert len(found) == len(whole) - first
        for batch, other in zip(found, expected, strict=True):
            assert_equal(batch, other)
    assert list(opened.batches(400, 1, 2, first=len(whole))) == []


def test_what_is_passed_over_is_not_read(opened, monkeypatch):
    read = []
    monkeypatch.setattr("mmsrec.features.pairs.read_group", lambda path, group, *_: read.append((path, group)))
    list(opened.batches(400, 1, 2, first=12))
    assert 0 < len(read) <= 3


@pytest.mark.parametrize(("rows", "batch_size", "steps"), [(5, 2, 2), (4, 2, 2), (6, 4, 2), (5, 4, 1), (1, 4, 0)])
def test_a_last_batch_of_one_pair_is_left_out(tmp_path, rows, batch_size, steps):
    write_pairs(tmp_path, ids(rows), some_pairs(rows), PROVENANCE)
    opened = Pairs(tmp_path)
    assert opened.steps(batch_size) == steps == len(list(opened.batches(batch_size, 0, 0)))


def write_frames(folder, frames, counts, text):
    pair_ids = pa.array(ids(len(counts)))
    table = pa.table({"pair_id": pair_ids, "frames": frames_column(frames, counts), "text": vectors_column(text)})
    schema = pairs_schema(frames.shape[1], text.shape[1], "frames")
    write_shard(folder / "00000.parquet", [table.slice(0, 700), table.slice(700)], schema, PROVENANCE)
    seal(folder, ["00000.parquet"])


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
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 8 * 2**19


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
    """A folder of pairs of its own."""
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
def test_an_index_that_is_not_one_is_an_error(copy, text):
    (copy / INDEX).write_text(text)
    with pytest.raises(ArtifactError, match=r"not valid|not JSON"):
        Pairs(copy)


def test_a_shard_that_is_missing_or_cut_or_another_is_an_error_at_opening(copy, folder):
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
    seal(copy, ["00000.parquet", "00001.parquet"])
    with pytest.raises(ArtifactError, match="differ in their columns"):
        Pairs(copy)


def test_a_bit_that_changed_is_an_error_when_it_is_read(copy):
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
def test_what_is_not_finite_is_not_written(tmp_path, value):
    text = np.ones((10, TEXT))
    text[4, 2] = value
    pairs = some_pairs(10)
    with np.errstate(over="ignore"):
        broken = pairs._replace(text=text.astype(np.float16), text_present=np.ones(10, bool))
    with pytest.raises(FeatureError, match="not finite"):
        write_pairs(tmp_path, ids(10), broken, PROVENANCE)
    assert list(tmp_path.iterdir()) == []
