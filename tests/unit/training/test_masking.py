import torch

from mmsrec.training.masking import hide

ITEMS, ABSENT = 1000, 1001


def hidden(probability, rows=20_000, width=6):
    generator = torch.Generator().manual_seed(0)
    windows = torch.randint(ITEMS, (rows, width), generator=generator)
    windows[:, 0] = ABSENT
    return windows, *hide(windows, ITEMS, probability, generator)


def test_shares_of_what_stands_at_hidden_positions():
    windows, inputs, predicted = hidden(0.2)
    earlier = predicted[:, 1:-1]
    assert abs(earlier.float().mean() - 0.2) < 0.005
    masked = (inputs == ITEMS)[:, 1:-1][earlier].float().mean()
    kept = (inputs == windows)[:, 1:-1][earlier].float().mean()
    assert abs(masked - 0.8) < 0.01
    assert abs(kept - 0.1) < 0.01


def test_the_last_item_is_always_hidden_and_predicted():
    _, inputs, predicted = hidden(0.2)
    assert (inputs[:, -1] == ITEMS).all()
    assert predicted[:, -1].all()


def test_only_hidden_positions_change_and_absent_ones_never():
    windows, inputs, predicted = hidden(0.9)
    assert torch.equal(inputs[~predicted], windows[~predicted])
    assert (inputs[:, 0] == ABSENT).all()
    assert not predicted[:, 0].any()


def test_replacements_are_items_of_the_whole_catalogue():
    windows, inputs, predicted = hidden(0.5)
    replaced = inputs[predicted & (inputs != windows) & (inputs != ITEMS)]
    assert replaced.max() < ITEMS
    assert len(replaced.unique()) > 0.95 * ITEMS


def test_no_other_item_is_hidden_at_probability_zero():
    windows, inputs, _ = hidden(0.0)
    assert torch.equal(inputs[:, :-1], windows[:, :-1])
