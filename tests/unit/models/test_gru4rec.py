import pytest
import torch
from torch.nn import functional as F

from mmsrec.models.gru4rec import GRU4Rec
from mmsrec.models.recommender import ModelInputs
from mmsrec.nn.objectives import Causal, Next
from mmsrec.nn.predictions import Predictions
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.models.examples import GRU4REC, TRAINER, changed
from tests.unit.training.examples import walks
from tests.unit.training.resumed import assert_resumes

ITEMS = 12


def model(settings=GRU4REC, trainer=TRAINER):
    seed_everything(5, 0)
    return GRU4Rec(ModelInputs(ITEMS, {}), settings, trainer)


def slow_vectors(network, history):
    """Vectors of every place of one history, by the equations of a GRU without biases."""
    gru, state, found = network.sequences.gru, torch.zeros(GRU4REC.hidden), []
    for item in history.tolist():
        from_input = (gru.weight_ih_l0 @ network.item.weight[item]).chunk(3)
        from_state = (gru.weight_hh_l0 @ state).chunk(3)
        reset, update = (torch.sigmoid(from_input[gate] + from_state[gate]) for gate in range(2))
        candidate = torch.tanh(from_input[2] + reset * from_state[2])
        state = (1 - update) * candidate + update * state
        found.append(network.sequences.output(state))
    return torch.stack(found)


@pytest.mark.parametrize(("objective", "augment"), [("causal", "none"), ("next", "prefixes")])
def test_learns_to_walk(tmp_path, objective, augment):
    trainer = changed(TRAINER, augment=augment, max_epochs=12, patience=12, clip_norm=None, learning_rate=0.01)
    state = finetune(model(changed(GRU4REC, objective=objective), trainer), walks(users=120), trainer, 0, tmp_path, {})
    assert state.best_metric > 0.95


def test_vectors_equal_the_equations_and_padding_changes_nothing():
    network = model().eval()
    items, history = network.encode_items(), torch.tensor([3, 7, 1])
    expected = slow_vectors(network, history)
    padded = F.pad(history[None], (2, 0), value=network.absent)
    places = network.sequences.at_places(items, padded, torch.zeros(3, dtype=torch.long), torch.arange(2, 5))
    torch.testing.assert_close(places, expected)
    torch.testing.assert_close(network.user_vectors(items, padded), expected[-1:])
    torch.testing.assert_close(network.user_vectors(items, history[None]), expected[-1:])


def test_loss_is_the_cross_entropy_of_dot_products():
    network = model().eval()
    inputs = torch.tensor([[network.absent, 3, 7], [1, 2, 3]])
    predictions = Predictions(inputs, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2]), torch.tensor([7, 8, 4]))
    queries = torch.cat([slow_vectors(network, inputs[0, 1:]), slow_vectors(network, inputs[1])[2:]])
    expected = F.cross_entropy(queries @ network.item.weight.T, predictions.targets_P, reduction="sum")
    torch.testing.assert_close(network.loss(network.encode_items(), predictions), expected)


def test_the_gru_has_no_biases_and_the_start_of_recbole():
    network = model(changed(GRU4REC, dim=64, hidden=128))
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == {
        "item.weight": [ITEMS, 64],
        "sequences.gru.weight_ih_l0": [384, 64],
        "sequences.gru.weight_hh_l0": [384, 128],
        "sequences.output.weight": [64, 128],
        "sequences.output.bias": [64],
    }
    # Xavier: the variance is 2 / (rows + columns); the uniform one ends at sqrt(3) standard deviations.
    assert network.item.weight.detach().std() == pytest.approx((2 / (ITEMS + 64)) ** 0.5, rel=0.1)
    for weight in network.sequences.gru.parameters():
        limit = (6 / sum(weight.shape)) ** 0.5
        assert 0.99 * limit < weight.detach().abs().max() <= limit


def test_dropout_acts_on_the_inputs_alone(monkeypatch):
    network, seen = model(changed(GRU4REC, dropout=0.5)).train(), []
    monkeypatch.setattr(
        network.sequences.gru, "forward", lambda x: seen.append(x) or (x.repeat(1, 1, 2), x[None, :, 0])
    )
    network.sequences.at_places(network.encode_items(), torch.tensor([[3, 7]]), torch.tensor([0]), torch.tensor([1]))
    shown = network.item.weight[torch.tensor([[3, 7]])]
    assert ((seen[0] == 0) | torch.isclose(seen[0], 2 * shown)).all()
    assert 0 < (seen[0] == 0).sum() < shown.numel()


def test_a_killed_training_ends_as_an_uninterrupted_one(tmp_path):
    assert_resumes(lambda: model(changed(GRU4REC, objective="next")), TRAINER, tmp_path, steps=8)


def test_objectives_by_name():
    assert type(model().objective) is Causal
    assert type(model(changed(GRU4REC, objective="next")).objective) is Next
