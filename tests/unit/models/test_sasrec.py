import torch
from torch import nn
from torch.nn import functional as F

from mmsrec.models import recommender
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.sasrec import SASRec
from mmsrec.nn.objectives import Causal, Next
from mmsrec.nn.predictions import Predictions
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.models.examples import BLOCKS, SASREC, TRAINER, changed
from tests.unit.training.examples import walks

ITEMS = 12


def model(trainer=TRAINER, settings=SASREC):
    seed_everything(5, 0)
    return SASRec(ModelInputs(ITEMS, {}), settings, trainer)


def slow_vectors(network, history, *, from_end=True):
    """Vectors of every place of one history: plain torch, no packing, no padding."""
    positions = torch.arange(len(history))
    positions = positions.flip(0) if from_end else positions
    states = network.input.norm(network.item(history) + network.input.position(positions))[None]
    later = torch.ones(len(history), len(history), dtype=torch.bool).triu(1)
    for block in network.transformer.blocks:
        query, key, value = (
            part.unflatten(-1, (SASREC.heads, -1)).transpose(1, 2)
            for part in block.attention.inputs(states).chunk(3, dim=-1)
        )
        logits = (query @ key.transpose(2, 3)) / (SASREC.dim // SASREC.heads) ** 0.5
        mixed = logits.masked_fill(later, -torch.inf).softmax(-1) @ value
        states = block.attention_norm(states + block.attention_output(mixed.transpose(1, 2).flatten(2)))
        states = block.feedforward_norm(states + block.contract(F.gelu(block.expand(states))))
    return states[0]


def test_learns_to_walk(tmp_path):
    trainer = changed(TRAINER, augment="none", max_epochs=20, patience=20, batch_size=16)
    state = finetune(model(trainer), walks(users=200), trainer, 0, tmp_path, {})
    assert state.best_metric > 0.95


def test_vectors_equal_the_plain_computation_and_padding_changes_nothing():
    network = model().eval()
    items, history = network.encode_items(), torch.tensor([3, 7, 1])
    expected = slow_vectors(network, history)
    padded = F.pad(history[None], (2, 0), value=network.absent)
    places = network.sequences.at_places(items, padded, torch.zeros(3, dtype=torch.long), torch.arange(2, 5))
    torch.testing.assert_close(places, expected)
    torch.testing.assert_close(network.user_vectors(items, padded), expected[-1:])
    torch.testing.assert_close(network.user_vectors(items, history[None]), expected[-1:])


def test_positions_count_from_the_end_or_from_the_start():
    network, history = model(settings=changed(SASREC, positions="start")).eval(), torch.tensor([[3, 7, 1]])
    expected = slow_vectors(network, history[0], from_end=False)[-1:]
    for columns in (0, 2):
        padded = F.pad(history, (columns, 0), value=network.absent)
        torch.testing.assert_close(network.user_vectors(network.encode_items(), padded), expected)


def test_objectives_by_name():
    assert type(model().objective) is Causal
    assert type(model(settings=changed(SASREC, objective="next")).objective) is Next


def test_a_new_setting_leaves_the_records_of_earlier_trainings_as_they_are():
    assert SASREC.model_dump(exclude_defaults=True).keys() == BLOCKS.keys()


def test_loss_is_the_cross_entropy_of_dot_products():
    network = model().eval()
    inputs = torch.tensor([[network.absent, 3, 7], [1, 2, 3]])
    predictions = Predictions(inputs, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2]), torch.tensor([7, 8, 4]))
    queries = torch.cat([slow_vectors(network, inputs[0, 1:]), slow_vectors(network, inputs[1])[2:]])
    expected = F.cross_entropy(queries @ network.item.weight.T, predictions.targets_P, reduction="sum")
    torch.testing.assert_close(network.loss(network.encode_items(), predictions), expected)


def test_layer_norms_have_the_eps_of_the_reference():
    found = {part.eps for part in model().modules() if isinstance(part, nn.LayerNorm)}
    assert found == {1e-12}


def test_items_encoded_in_parts_equal_the_whole(monkeypatch):
    monkeypatch.setitem(recommender.ENCODED_TOGETHER, "cpu", 5)
    network = model().eval()
    items = network.encode_all_items()
    assert torch.equal(items.vectors_KD, network.item.weight)
    assert items.table is items.vectors_KD
