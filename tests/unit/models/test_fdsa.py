"""FDSA against plain torch, one history at a time, with multi-hot tables."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmsrec.errors import DataError
from mmsrec.models import recommender
from mmsrec.models.attributes import Attributes
from mmsrec.models.fdsa import FDSA
from mmsrec.models.fdsa_settings import FDSASettings
from mmsrec.models.recommender import ModelInputs
from mmsrec.nn.predictions import Predictions
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.models.examples import BLOCKS, TRAINER, changed, enlarge
from tests.unit.models.slow_blocks import slow_blocks
from tests.unit.training.examples import walks
from tests.unit.training.resumed import assert_resumes

ITEMS = 12
SETTINGS = FDSASettings(**BLOCKS)
BRANDS = [f"brand={'xyz'[item % 3]}" if item % 4 else None for item in range(ITEMS)]
CATEGORIES = [[f"category={name}" for name in "abcde"[item % 5 : item % 5 + item % 4]] for item in range(ITEMS)]
BOTH = [[*filter(None, [brand]), *names] for brand, names in zip(BRANDS, CATEGORIES, strict=True)]


def model(lists=BOTH, settings=SETTINGS, trainer=TRAINER, scale=5.0):
    """A network whose matrices are so large that attention and fusion do not average evenly."""
    seed_everything(5, 0)
    network = FDSA(ModelInputs(ITEMS, {}, Attributes(lists)), settings, trainer)
    enlarge(network, scale)
    return network


def slow_feature(network, item):
    """The vector of an item's attributes, field by field."""
    attributes = network.attributes.attributes
    vectors = []
    for field, module in zip(attributes.fields, network.attributes.fields, strict=True):
        known = [name for name in attributes.names if name.startswith(f"{field}=")]
        own = [known.index(name) for name in BOTH[item] if name in known]
        if field == "brand":
            vectors.append(module.value.weight[own[0]] if own else module.none.weight[0])
        else:
            zeros = torch.zeros(network.settings_dim)
            vectors.append(sum((module.value.weight[index] for index in own), zeros) / max(1, len(own)))
    if len(vectors) == 1:
        return vectors[0]
    scores = [network.attributes.score(vector) for vector in vectors]
    weights = torch.cat(scores).softmax(0)
    return sum(weight * vector for weight, vector in zip(weights, vectors, strict=True))


def slow_vectors(network, history):
    """Vectors of every place of one history."""
    network.settings_dim = SETTINGS.dim
    positions = network.input.position(torch.arange(len(history)).flip(0))
    features = torch.stack([slow_feature(network, int(item)) for item in history])
    outputs = [
        slow_blocks(blocks, network.input.norm(vectors + positions), SETTINGS.heads, causal=True)
        for blocks, vectors in (
            (network.transformer.blocks, network.item(history)),
            (network.attribute_transformer.blocks, features),
        )
    ]
    return network.input.norm(network.output(torch.cat(outputs, dim=1)))


def test_vectors_equal_the_plain_computation_and_padding_changes_nothing():
    network = model().eval()
    items, history = network.encode_items(), torch.tensor([3, 8, 0, 1])
    expected = slow_vectors(network, history)
    padded = F.pad(history[None], (1, 0), value=network.absent)
    places = network.sequences.at_places(items, padded, torch.zeros(4, dtype=torch.long), torch.arange(1, 5))
    torch.testing.assert_close(places, expected)
    torch.testing.assert_close(network.user_vectors(items, padded), expected[-1:])
    torch.testing.assert_close(network.scores(history[None]), expected[-1:] @ network.item.weight.T)


def test_loss_and_gradients_equal_the_plain_computation():
    network = model().eval()
    inputs = torch.tensor([[network.absent, 3, 7], [1, 2, 4]])
    predictions = Predictions(inputs, torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2]), torch.tensor([7, 8, 4]))
    queries = torch.cat([slow_vectors(network, inputs[0, 1:]), slow_vectors(network, inputs[1])[2:]])
    expected = F.cross_entropy(queries @ network.item.weight.T, predictions.targets_P, reduction="sum")
    loss = network.loss(network.encode_items(), predictions)
    torch.testing.assert_close(loss, expected)
    weights = list(network.parameters())
    for gradient, slow in zip(*(torch.autograd.grad(value, weights) for value in (loss, expected)), strict=True):
        torch.testing.assert_close(gradient, slow, rtol=1e-4, atol=1e-5)


def test_a_field_is_looked_up_if_no_item_has_two_of_its_values():
    network = model()
    assert [field.single for field in network.attributes.fields] == [True, False]
    repeated = [[*row, "brand=w"] if row else row for row in BOTH]
    assert [field.single for field in model(repeated).attributes.fields] == [False, False]


def test_an_item_without_a_brand_has_a_trained_vector_and_one_without_categories_has_zeros():
    network = model().eval()
    brand, category = network.attributes.fields
    none = torch.zeros(0, dtype=torch.long)
    assert torch.equal(brand(none, none, 2), brand.none.weight.expand(2, -1))
    assert torch.equal(category(none, none, 2), torch.zeros(2, SETTINGS.dim))


def test_the_vector_of_one_field_is_not_weighted():
    network = model([[name for name in row if name.startswith("brand")] for row in BOTH]).eval()
    assert network.attributes.score is None
    expected = network.attributes.fields[0].value.weight[1]
    assert torch.equal(network.encode_items().inputs[1], expected), "item 1 has the brand y"


def test_features_of_some_items_and_of_all_items_in_parts_are_the_same(monkeypatch):
    network = model().eval()
    whole, some = network.encode_items(), network.encode_items(torch.tensor([7, 0, 7]))
    torch.testing.assert_close(some.inputs, whole.inputs[[7, 0, 7]])
    monkeypatch.setitem(recommender.ENCODED_TOGETHER, "cpu", 5)
    parts = network.encode_all_items()
    torch.testing.assert_close(parts.inputs, whole.inputs)
    torch.testing.assert_close(parts.vectors_KD, whole.vectors_KD)


def test_one_layer_norm_and_one_table_of_positions_serve_both_encoders():
    names = [name for name, _ in model().named_parameters()]
    outside = [name for name in names if "norm" in name and "blocks" not in name]
    assert outside == ["input.norm.weight", "input.norm.bias"]
    assert [name for name in names if "position" in name] == ["input.position.weight"]
    assert {part.eps for part in model().modules() if isinstance(part, nn.LayerNorm)} == {1e-12}


@pytest.mark.parametrize("changes", [{}, {"sampled_items": 6}], ids=["all items", "sampled items"])
def test_learns_to_walk(tmp_path, changes):
    trainer = changed(TRAINER, augment="none", max_epochs=10, patience=10, batch_size=16, **changes)
    state = finetune(model(trainer=trainer, scale=1.0), walks(users=200), trainer, 0, tmp_path, {})
    assert state.best_metric > 0.95


def test_a_killed_training_ends_with_the_same_bytes(tmp_path):
    assert_resumes(lambda: model(scale=1.0), TRAINER, tmp_path, steps=4)


def test_items_without_attributes_are_an_error():
    with pytest.raises(DataError, match="reads attributes of items"):
        FDSA(ModelInputs(ITEMS, {}), SETTINGS, TRAINER)
