"""The tasks of S3-Rec, against what a reader of the sequences expects."""

from itertools import pairwise

import pytest
import torch

from mmsrec.nn.segments import Cloze, Segments

ITEMS, ABSENT = 20, 21


def windows(*lengths, width=9, seed=0):
    """Windows whose first column is an item only if the length says so."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(ITEMS, (len(lengths), width), generator=generator)
    for row, length in zip(rows, lengths, strict=True):
        row[: width - length] = ABSENT
    return rows


def drawn(rows, seed=0):
    return Segments(ITEMS).draw(torch.arange(len(rows)), rows, torch.Generator().manual_seed(seed))


def test_hidden_items_are_predicted_and_all_items_are_places():
    rows = windows(9, 3, 1, 7)
    task = Cloze(0.4)(rows, ITEMS, torch.Generator().manual_seed(3))
    exists = rows[:, 1:] < ITEMS
    assert torch.equal(task.targets_BL, rows[:, 1:])
    assert torch.equal(task.predicted_BL, exists)
    hidden = task.inputs_BL == ITEMS
    assert hidden.any()
    assert torch.equal(task.inputs_BL[~hidden], rows[:, 1:][~hidden])
    assert not (hidden & ~exists).any()


def test_a_share_of_the_items_is_hidden_and_the_last_is_no_exception():
    rows = windows(*[9] * 4000)
    hidden = Cloze(0.2)(rows, ITEMS, torch.Generator().manual_seed(3)).inputs_BL == ITEMS
    assert hidden.float().mean(0).tolist() == pytest.approx([0.2] * 8, abs=0.02)
    assert not (Cloze(0.0)(rows, ITEMS, torch.Generator()).inputs_BL == ITEMS).any()


def test_a_segment_and_the_rest_make_the_sequence():
    rows = windows(*range(1, 10), 9, 8, 2)
    for seed in range(20):
        parts = drawn(rows, seed)
        for number, row in enumerate(rows[:, 1:]):
            length = int((row < ITEMS).sum())
            rest, segment, other = (parts[name][number] for name in ("rest_BL", "segment_BL", "other_BL"))
            inside = (rest == ITEMS).nonzero().flatten()
            if not length:
                continue
            assert 1 <= len(inside) <= max(1, length // 2)
            assert torch.equal(inside, torch.arange(int(inside[0]), int(inside[-1]) + 1)), "they are neighbours"
            assert torch.equal(rest.scatter(0, inside, row[inside]), row)
            assert torch.equal(segment[inside], row[inside])
            outside = torch.ones(len(row), dtype=torch.bool).scatter(0, inside, False)
            expected = torch.where(row < ITEMS, ITEMS, ABSENT)[outside]
            assert torch.equal(segment[outside], expected)
            assert torch.equal(other[outside], expected)
            assert (other[inside] < ITEMS).all()


def test_the_other_segment_comes_from_the_sequences_one_after_another():
    rows = torch.arange(18).view(2, 9)
    rows[1, :4] = ABSENT
    shown = [*range(1, 9), *range(13, 18)]
    pairs = set()
    for seed in range(300):
        parts = drawn(rows, seed)
        for number in range(2):
            inside = parts["rest_BL"][number] == ITEMS
            values = parts["other_BL"][number][inside].tolist()
            start = shown.index(values[0])
            assert values == shown[start : start + len(values)]
            pairs |= set(pairwise(values))
    assert (8, 13) in pairs, "a segment may begin in one sequence and end in the next"
    assert pairs == set(pairwise(shown)), "every place is drawn"


def test_lengths_and_places_of_segments_are_uniform():
    rows = windows(*[9] * 20_000)
    hidden = drawn(rows)["rest_BL"] == ITEMS
    lengths = hidden.sum(1)
    assert torch.bincount(lengths)[1:].div(len(rows)).tolist() == pytest.approx([0.25] * 4, abs=0.02)
    first = hidden[lengths == 2].float().argmax(1)
    assert torch.bincount(first).div(len(first)).tolist() == pytest.approx([1 / 7] * 7, abs=0.02)


def test_negatives_are_uniform_among_the_items_outside_the_sequence():
    rows = torch.tensor([[5, 3, 3, 0, 19, 3, 7, 0, 4]]).repeat(4000, 1)
    negatives = drawn(rows)["negative_BL"]
    outside = sorted(set(range(ITEMS)) - set(rows[0, 1:].tolist()))
    shares = torch.bincount(negatives.flatten(), minlength=ITEMS) / negatives.numel()
    assert shares[outside].tolist() == pytest.approx([1 / len(outside)] * len(outside), abs=0.01)
    assert shares.sum() == pytest.approx(float(shares[outside].sum())), "no item of the sequence is drawn"


def test_negatives_of_every_length_avoid_the_sequence():
    rows = windows(*range(1, 10), *range(1, 10), seed=4)
    for seed in range(50):
        for row, negatives in zip(rows[:, 1:], drawn(rows, seed)["negative_BL"], strict=True):
            assert not set(row.tolist()) & set(negatives.tolist())
            assert int(negatives.max()) < ITEMS


def test_equal_generators_draw_the_same():
    rows = windows(9, 4, 2)
    first, second, third = drawn(rows, 1), drawn(rows, 1), drawn(rows, 2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)
