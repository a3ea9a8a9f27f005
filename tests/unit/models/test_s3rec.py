"""S3-Rec's pre-training against plain torch with multi-hot tables, and the training that starts from it."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from mmsrec.errors import CheckpointError, DataError
from mmsrec.models.attributes import Attributes
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.s3rec import S3Rec
from mmsrec.models.s3rec_pretraining import TASKS, S3RecPretraining, preference_loss
from mmsrec.models.s3rec_pretraining_settings import S3RecPretrainingSettings, TaskWeights
from mmsrec.models.s3rec_settings import S3RecSettings
from mmsrec.nn.predictions import Predictions
from mmsrec.training.batches import Batches
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.models.examples import BLOCKS, TRAINER, changed, enlarge
from tests.unit.models.slow_blocks import slow_blocks
from tests.unit.training.examples import walks
from tests.unit.training.resumed import assert_resumes

ITEMS = 12
LISTS = [[f"category={name}" for name in "abcde"[item % 5 : item % 5 + item % 4]] for item in range(ITEMS)]
WEIGHTS = TaskWeights(aap=0.2, mip=1.0, map=1.0, sp=0.5)
SETTINGS = S3RecPretrainingSettings(**BLOCKS, mask_probability=0.3, weights=WEIGHTS)
MASK = ITEMS


def model(trainer=TRAINER, settings=SETTINGS, scale=1.0):
    seed_everything(5, 0)
    network = S3RecPretraining(ModelInputs(ITEMS, {}, Attributes(LISTS)), settings, trainer)
    enlarge(network, scale)
    return network


def slow_states(network, inputs):
    """The states of one sequence without padding; every place sees all others."""
    table = torch.cat([network.item.weight, network.mask_vector.weight])
    positions = network.input.position(torch.arange(len(inputs)).flip(0))
    return slow_blocks(
        network.transformer.blocks, network.input.norm(table[inputs] + positions), SETTINGS.heads, causal=False
    )


def slow_losses(network, inputs, truth, negatives, rest, segment, other):
    """The four losses of one sequence: multi-hot rows, one term after another."""
    attributes, tasks = network.attributes, network.tasks
    states = slow_states(network, inputs)
    losses = dict.fromkeys(("aap", "map", "mip", "sp"), torch.zeros(()))
    certain = torch.ones(())
    for state, shown, item, negative in zip(states, inputs, truth, negatives, strict=True):
        task = "map" if shown == MASK else "aap"
        multi_hot = torch.tensor([float(name in LISTS[item]) for name in attributes.names])
        probabilities = torch.sigmoid(network.attribute.weight @ tasks[task](state))
        losses[task] = losses[task] + F.binary_cross_entropy(probabilities, multi_hot, reduction="sum")
        if shown == MASK:
            query = tasks["mip"](state)
            distance = torch.sigmoid(query @ network.item.weight[item]) - torch.sigmoid(
                query @ network.item.weight[negative]
            )
            losses["mip"] = losses["mip"] + F.binary_cross_entropy(torch.sigmoid(distance), certain)
    context = tasks["sp"](slow_states(network, rest)[-1])
    scores = [torch.sigmoid(context @ slow_states(network, part)[-1]) for part in (segment, other)]
    losses["sp"] = F.binary_cross_entropy(torch.sigmoid(scores[0] - scores[1]), certain)
    return losses


def group_and_sequences(network, seed=1):
    """A group of a step, and its sequences without padding."""
    batches = Batches(walks(), network, changed(TRAINER, batch_size=7))
    group = max(next(iter(batches.steps(seed, 1))).groups, key=lambda group: len(group.inputs_BL))
    sequences = []
    for row, inputs in enumerate(group.inputs_BL):
        length = int((inputs <= MASK).sum())
        truth = group.targets_P[group.rows_P == row]
        names = ("negative_BL", "rest_BL", "segment_BL", "other_BL")
        sequences.append([inputs[-length:], truth, *(group.companions[name][row, -length:] for name in names)])
    return group, sequences


@pytest.mark.parametrize("task", ["aap", "map", "mip", "sp", None])
def test_each_loss_and_the_weighted_sum_equal_the_multi_hot_computation(task):
    weights = WEIGHTS if task is None else TaskWeights(**{name: float(name == task) for name in TASKS})
    network = model(settings=changed(SETTINGS, weights=weights), scale=5.0).eval()
    group, sequences = group_and_sequences(network)
    assert len(sequences) > 3
    assert (group.inputs_BL == MASK).any()
    expected = sum(
        getattr(weights, name) * loss for parts in sequences for name, loss in slow_losses(network, *parts).items()
    )
    loss = network.loss(network.encode_items(), group)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    tensors = list(network.parameters())
    both = [torch.autograd.grad(value, tensors, allow_unused=True) for value in (loss, expected)]
    for gradient, slow in zip(*both, strict=True):
        if slow is None:
            assert gradient is None or not gradient.any()
        else:
            torch.testing.assert_close(gradient, slow, rtol=1e-4, atol=1e-4)


def test_padding_changes_nothing():
    network = model(scale=5.0).eval()
    group, sequences = group_and_sequences(network)
    wider = {name: F.pad(part, (3, 0), value=network.absent) for name, part in group.companions.items()}
    padded = Predictions(
        F.pad(group.inputs_BL, (1, 0), value=network.absent),
        group.rows_P,
        group.columns_P + 1,
        group.targets_P,
        companions=wider,
    )
    items = network.encode_items()
    if padded.inputs_BL.shape[1] <= network.longest_history:
        torch.testing.assert_close(network.loss(items, padded), network.loss(items, group))
    history = sequences[0][1]
    histories = F.pad(history[None], (2, 0), value=network.absent)
    torch.testing.assert_close(network.user_vectors(items, histories), slow_states(network, history)[-1:])


def test_the_double_sigmoid_is_bounded():
    values = torch.tensor([-50.0, 0.0, 50.0])
    losses = [float(preference_loss(values[i : i + 1], values[j : j + 1])) for i in range(3) for j in range(3)]
    assert min(losses) == pytest.approx(0.3133, abs=1e-4)
    assert max(losses) == pytest.approx(1.3133, abs=1e-4)
    assert losses[4] == pytest.approx(0.6931, abs=1e-4)


def test_pretraining_lowers_the_loss_and_is_not_validated(tmp_path):
    trainer = changed(TRAINER, max_epochs=6, patience=1, batch_size=16, weight_decay=0.0)
    state = finetune(model(trainer), walks(), trainer, 0, tmp_path, {})
    assert [row["epoch"] for row in state.history] == [1, 2, 3, 4, 5, 6], "patience does not count"
    assert state.history[-1]["loss"] < 0.9 * state.history[0]["loss"]
    assert all(torch.equal(state.result[name], state.model[name]) for name in state.model), "the last weights count"


def test_a_killed_pretraining_ends_with_the_same_bytes(tmp_path):
    assert_resumes(model, TRAINER, tmp_path, steps=4)


def started():
    seed_everything(9, 0)
    return S3Rec(ModelInputs(ITEMS, {}), S3RecSettings(**BLOCKS), TRAINER)


def test_every_weight_of_the_recommender_comes_from_the_pretraining():
    source, network = model(scale=5.0), started()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    taken = network.take(source.state_dict(), SimpleNamespace())
    own, pretrained = network.state_dict(), source.state_dict()
    assert taken.loaded == sorted(own)
    assert taken.new == []
    assert set(taken.loaded) | set(taken.unused) == set(pretrained)
    assert all(torch.equal(own[name], pretrained[name]) for name in own)
    assert any(not torch.equal(own[name], before[name]) for name in own)


def test_the_recommender_reads_the_weights_as_the_pretraining_did():
    source, network = model(scale=5.0).eval(), started().eval()
    network.take(source.state_dict(), SimpleNamespace())
    history = torch.tensor([[3]])
    items = [part.encode_items() for part in (source, network)]
    vectors = [part.user_vectors(table, history) for part, table in zip((source, network), items, strict=True)]
    torch.testing.assert_close(*vectors)


@pytest.mark.parametrize("change", ["a tensor more", "a tensor less", "another shape"])
def test_weights_that_do_not_fit_are_an_error_and_change_nothing(change):
    weights, network = dict(model().state_dict()), started()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    match change:
        case "a tensor more":
            weights["extra"] = torch.zeros(1)
        case "a tensor less":
            del weights["input.position.weight"]
        case "another shape":
            weights["item.weight"] = torch.zeros(ITEMS + 1, SETTINGS.dim)
    with pytest.raises(CheckpointError):
        network.take(weights, SimpleNamespace())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_items_without_attributes_or_too_few_items_are_errors():
    with pytest.raises(DataError, match="reads attributes of items"):
        S3RecPretraining(ModelInputs(ITEMS, {}), SETTINGS, TRAINER)
    with pytest.raises(DataError, match="more than 12 items"):
        model(changed(TRAINER, max_length=13))
