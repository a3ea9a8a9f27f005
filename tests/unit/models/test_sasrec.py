import torch
from torch.nn import functional as F

from mmsrec.models.sasrec import SASRec
from mmsrec.nn.packing import Packing
from mmsrec.nn.predictions import Predictions
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.training.examples import SETTINGS, walks

ITEMS = 12


def model(settings=SETTINGS):
    seed_everything(5, 0)
    return SASRec(ITEMS, settings)


def test_learns_to_walk(tmp_path):
    settings = SETTINGS.model_copy(update={"augment": "none", "max_epochs": 20, "patience": 20, "batch_size": 16})
    state = finetune(model(settings), walks(users=200), settings, 0, tmp_path, {})
    assert state.best_metric > 0.95


def test_a_place_does_not_see_later_items():
    network = model().eval()
    history = torch.tensor([[3, 7, 1, 9]])
    changed = torch.tensor([[3, 7, 5, 2]])
    packing = Packing(history < network.absent, torch.zeros(4, dtype=torch.long), torch.arange(4))
    before, after = (network._retrieving(network.item.weight, items, packing) for items in (history, changed))
    torch.testing.assert_close(before[:2], after[:2])
    assert not torch.allclose(before[2:], after[2:])


def test_padding_never_changes_a_vector():
    network = model().eval()
    history = torch.tensor([[3, 7, 1]])
    padded = F.pad(history, (2, 0), value=network.absent)
    torch.testing.assert_close(
        network.user_vectors(network.catalogue(), history), network.user_vectors(network.catalogue(), padded)
    )


def test_loss_is_the_cross_entropy_of_dot_products():
    network = model().eval()
    inputs = torch.tensor([[network.absent, 3, 7], [1, 2, 3]])
    predictions = Predictions(inputs, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2]), torch.tensor([7, 8, 4]))
    last = network.user_vectors(network.catalogue(), inputs)
    alone = SASRec.user_vectors(network, network.catalogue(), torch.tensor([[3]]))
    # The first place's position counts from the window's end, so it is not that of the item alone.
    assert not torch.allclose(alone, last[:1])
    of_last = Predictions(inputs, torch.tensor([0, 1]), torch.tensor([2, 2]), torch.tensor([8, 4]))
    expected = F.cross_entropy(last @ network.item.weight.T, of_last.targets_P, reduction="sum")
    torch.testing.assert_close(network.loss(network.catalogue(), of_last), expected)
    assert network.loss(network.catalogue(), predictions) > expected
