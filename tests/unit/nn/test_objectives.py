import torch

from mmsrec.nn.objectives import Causal, Masked, Next

ITEMS, ABSENT = 1000, 1001


def masked(probability, rows=20_000, width=6):
    """Windows whose first place is padding, and their masked task."""
    generator = torch.Generator().manual_seed(0)
    windows = torch.randint(ITEMS, (rows, width), generator=generator)
    windows[:, 0] = ABSENT
    return windows, Masked(probability)(windows, ITEMS, generator)


def test_hidden_items_become_mask_or_a_random_item_or_stay():
    windows, (inputs, predicted, targets) = masked(0.2)
    earlier = predicted[:, 1:-1]
    assert abs(earlier.float().mean() - 0.2) < 0.005
    mask_share = (inputs == ITEMS)[:, 1:-1][earlier].float().mean()
    kept_share = (inputs == windows)[:, 1:-1][earlier].float().mean()
    assert abs(mask_share - 0.8) < 0.01
    assert abs(kept_share - 0.1) < 0.01
    assert torch.equal(targets, windows)


def test_the_last_item_is_always_hidden_and_predicted():
    _, (inputs, predicted, _) = masked(0.2)
    assert (inputs[:, -1] == ITEMS).all()
    assert predicted[:, -1].all()


def test_only_hidden_places_change_and_padding_never_does():
    windows, (inputs, predicted, _) = masked(0.9)
    assert torch.equal(inputs[~predicted], windows[~predicted])
    assert (inputs[:, 0] == ABSENT).all()
    assert not predicted[:, 0].any()


def test_random_items_come_from_the_whole_data_set():
    windows, (inputs, predicted, _) = masked(0.5)
    replaced = inputs[predicted & (inputs != windows) & (inputs != ITEMS)]
    assert replaced.max() < ITEMS
    assert len(replaced.unique()) > 0.95 * ITEMS


def test_at_probability_zero_only_the_last_item_is_hidden():
    windows, (inputs, predicted, _) = masked(0.0)
    assert torch.equal(inputs[:, :-1], windows[:, :-1])
    assert not predicted[:, :-1].any()


def test_causal_predicts_the_next_item_at_every_item():
    windows = torch.tensor([[ABSENT, 3, 7, 1], [2, 2, 5, 4]])
    inputs, predicted, targets = Causal()(windows, ITEMS, torch.Generator())
    assert inputs.tolist() == [[ABSENT, 3, 7], [2, 2, 5]]
    assert predicted.tolist() == [[False, True, True], [True, True, True]]
    assert targets[predicted].tolist() == [7, 1, 2, 5, 4]


def test_next_predicts_the_last_item_alone():
    windows = torch.tensor([[ABSENT, 3, 7, 1], [2, 2, 5, 4]])
    inputs, predicted, targets = Next()(windows, ITEMS, torch.Generator())
    assert inputs.tolist() == [[ABSENT, 3, 7], [2, 2, 5]]
    assert predicted.tolist() == [[False, False, True], [False, False, True]]
    assert targets[predicted].tolist() == [1, 4]


def test_the_last_place_of_next_item_inputs_predicts():
    histories = torch.tensor([[3, 7]])
    assert Masked(0.2).next_item_inputs(histories, ITEMS).tolist() == [[3, 7, ITEMS]]
    assert Causal().next_item_inputs(histories, ITEMS).tolist() == [[3, 7]]
    assert Next().next_item_inputs(histories, ITEMS).tolist() == [[3, 7]]
