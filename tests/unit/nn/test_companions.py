from collections import Counter

import torch

from mmsrec.nn.companions import ItemDrop, SameTarget
from mmsrec.nn.training_sequences import examples
from mmsrec.training.runtime import generator_of
from tests.unit.nn.test_user_sequences import make

ABSENT = 100
# The last two items of each user are held out. The prefixes end at 2 and 3, at 3, at 5 and 3, and at 7.
SEQUENCES = make([1, 2, 3, 8, 8], [4, 3, 8, 8], [6, 5, 3, 8, 8], [9, 7, 8, 8])
PREFIXES = [[1, 2], [1, 2, 3], [4, 3], [6, 5], [6, 5, 3], [9, 7]]


def slow_partners(prefixes):
    """The indices that each prefix may draw: all others with its last item, or itself."""
    found = []
    for own, prefix in enumerate(prefixes):
        others = [index for index, other in enumerate(prefixes) if other[-1] == prefix[-1] and index != own]
        found.append(others or [own])
    return found


def same_target():
    rule = SameTarget(ABSENT)
    rule.prepare(SEQUENCES, examples(SEQUENCES, "prefixes", 4))
    return rule


def test_a_partner_is_another_sequence_with_the_same_last_item_drawn_uniformly():
    rule, drawn = same_target(), [Counter() for _ in PREFIXES]
    for number in range(600):
        partners = rule.partners(torch.arange(len(PREFIXES)), generator_of(number))
        for counter, partner in zip(drawn, partners.tolist(), strict=True):
            counter[partner] += 1
    for counter, allowed in zip(drawn, slow_partners(PREFIXES), strict=True):
        assert sorted(counter) == allowed
        assert min(counter.values()) > 0.8 * 600 / len(allowed)


def test_partners_show_their_items_before_the_target():
    windows = SEQUENCES.windows(torch.tensor([1, 0]), torch.tensor([7, 3]), 4, ABSENT)
    rule, generators = same_target(), (generator_of(5), generator_of(5))
    partners = rule.partners(torch.tensor([2, 1]), generators[0]).tolist()
    shown = rule.draw(torch.tensor([2, 1]), windows, generators[1])["same_target_BL"]
    assert [[item for item in row if item != ABSENT] for row in shown.tolist()] == [PREFIXES[e][:-1] for e in partners]
    assert shown.shape[1] == max(len(PREFIXES[e]) - 1 for e in partners)


def test_a_partner_has_at_most_as_many_items_as_an_input():
    sequences = make([1, 2, 3, 4, 5, 6, 8, 8], [9, 6, 8, 8])
    rule = SameTarget(ABSENT)
    rule.prepare(sequences, examples(sequences, "prefixes", 4))
    windows = sequences.windows(torch.tensor([1]), torch.tensor([10]), 4, ABSENT)
    assert rule.draw(torch.tensor([5]), windows, generator_of(0))["same_target_BL"].tolist() == [[3, 4, 5]]


def test_the_draws_depend_on_the_generator_alone():
    rule, batch = same_target(), torch.arange(len(PREFIXES))
    again = [rule.partners(batch, generator_of(7)) for _ in range(2)]
    assert torch.equal(*again)


def test_prepared_again_the_partners_are_of_the_new_data():
    rule = same_target()
    other = make([1, 2, 3, 8, 8])
    rule.prepare(other, examples(other, "prefixes", 4))
    assert rule.partners(torch.arange(2), generator_of(0)).tolist() == [0, 1]


def slow_item_drop(windows, draws, items, probability):
    """The kept items of each row before its last, without padding."""
    found = []
    for window, draw in zip(windows.tolist(), draws.tolist(), strict=True):
        shown = [(item, number) for item, number in zip(window[:-1], draw, strict=True) if item < items]
        found.append([item for place, (item, number) in enumerate(shown) if place == 0 or number >= probability])
    return found


def test_items_but_the_first_are_dropped_and_the_target_is_not_shown():
    torch.manual_seed(0)
    windows = torch.randint(50, (400, 8))
    windows[:200, :3] = ABSENT
    view = ItemDrop(50, ABSENT, 0.2).draw(torch.arange(400), windows, generator_of(1))["item_drop_BL"]
    expected = slow_item_drop(windows, torch.rand((400, 7), generator=generator_of(1)), 50, 0.2)
    assert [[item for item in row if item != ABSENT] for row in view.tolist()] == expected
    lengths = (view != ABSENT).sum(1)
    assert (view.flip(1) != ABSENT).cummin(1).values.sum() == lengths.sum(), "right-aligned"
    kept = (lengths[200:] - 1).float().mean() / 6
    assert abs(kept - 0.8) < 0.03


def test_a_view_has_no_column_that_no_row_needs():
    windows = torch.tensor([[ABSENT, ABSENT, 4, 5]])
    assert ItemDrop(50, ABSENT, 0.2).draw(torch.arange(1), windows, generator_of(0))["item_drop_BL"].tolist() == [[4]]
