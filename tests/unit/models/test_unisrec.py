"""UniSRec and its pre-training against plain torch, and the transfer of weights between domains."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from mmsrec.errors import CheckpointError, TrainingError
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.models.unisrec import UniSRec
from mmsrec.models.unisrec_pretraining import UniSRecPretraining
from mmsrec.models.unisrec_settings import UniSRecPretrainingSettings
from mmsrec.nn.predictions import Predictions
from mmsrec.settings.params import ModelSettings
from mmsrec.settings.plan import Experiment
from mmsrec.training.batches import Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from mmsrec.training.train import train, untrained
from mmsrec.training.weights import read_weights
from tests.unit.models.examples import TRAINER, UNISREC, changed
from tests.unit.training.examples import walks
from tests.unit.training.resumed import assert_resumes, killed_at

ITEMS, WIDTH = 12, 8
SETTINGS = UNISREC
PRETRAINING = UniSRecPretrainingSettings(**SETTINGS.model_dump(), sequence_weight=0.5, item_drop=0.2)
EXPERIMENT = Experiment("shop", 3, "source", "pretraining", 1)
START = ModelSettings("unisrec-pretraining", PRETRAINING, TRAINER)
LATER = ModelSettings("unisrec", SETTINGS, TRAINER)


def features(items=ITEMS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(items, WIDTH, generator=generator), torch.arange(items) % 5 > 0)


def model(settings=SETTINGS, trainer=TRAINER, kind=UniSRec, scale=5.0):
    """A network whose matrices are so large that attention and gates matter."""
    seed_everything(5, 0)
    network = kind(ModelInputs(ITEMS, {"text": features()}), settings, trainer)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(scale * 0.02 * torch.randn_like(parameter))
    return network


def dataset(items=ITEMS, seed=0, digest="minilm", name="shop"):
    return Dataset(
        item_ids=[str(item) for item in range(items)],
        users=[str(user) for user in range(40)],
        sequences=walks(items=items),
        features={"text": features(items, seed)},
        inputs={"items.parquet": name},
        encoder_digests={"text": digest},
        encoder_weights={"text": "weights"},
    )


def slow_items(network):
    """Adapted features of all items, expert by expert."""
    feature = network.features["text"]
    rows = torch.where(feature.present_I[:, None], feature.vectors_IF, 0.0)
    gates = (rows @ network.adaptor.gates).softmax(1)
    experts = [(rows - expert.centre) @ expert.project.weight.T for expert in network.adaptor.experts]
    return sum(gate[:, None] * expert for gate, expert in zip(gates.unbind(1), experts, strict=True))


def slow_vectors(network, history):
    """Vectors of every place of one history, without padding; positions count from the first item."""
    places = network.input.position(torch.arange(len(history)))
    states = network.input.norm(slow_items(network)[history] + places)[None]
    later = torch.ones(len(history), len(history), dtype=torch.bool).triu(1)
    heads = SETTINGS.heads
    for block in network.transformer.blocks:
        query, key, value = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in block.attention.inputs(states).chunk(3, dim=-1)
        )
        logits = (query @ key.transpose(2, 3)) / (SETTINGS.dim // heads) ** 0.5
        mixed = logits.masked_fill(later, -torch.inf).softmax(-1) @ value
        states = block.attention_norm(states + block.attention_output(mixed.transpose(1, 2).flatten(2)))
        states = block.feedforward_norm(states + block.contract(F.gelu(block.expand(states))))
    return F.normalize(states[0], dim=1)


def test_scores_are_cosines_of_the_plain_computation():
    network = model().eval()
    items = network.encode_items()
    torch.testing.assert_close(items.table, slow_items(network))
    for history in ([3], [3, 7, 1], [0, 5, 9, 2, 2]):
        own = torch.tensor(history)
        padded = F.pad(own[None], (5 - len(own), 0), value=network.absent)
        expected = slow_vectors(network, own)[-1] @ F.normalize(slow_items(network), dim=1).T
        torch.testing.assert_close(network.scores(padded)[0], expected)
        torch.testing.assert_close(network.scores(own[None])[0], expected)


def test_the_loss_is_the_cross_entropy_over_all_items():
    network = model().eval()
    inputs = torch.tensor([[network.absent, 3, 7], [1, 2, 3]])
    predictions = Predictions(inputs, torch.tensor([0, 1]), torch.tensor([2, 2]), torch.tensor([8, 4]))
    queries = torch.stack([slow_vectors(network, inputs[0, 1:])[-1], slow_vectors(network, inputs[1])[-1]])
    logits = queries @ F.normalize(slow_items(network), dim=1).T / SETTINGS.temperature
    expected = F.cross_entropy(logits, predictions.targets_P, reduction="sum")
    torch.testing.assert_close(network.loss(network.encode_items(), predictions), expected)


def slow_contrast(queries, keys, targets):
    """The mean over the batch, as the original writes it: same targets have the logit 0."""
    rows = []
    for row, query in enumerate(queries):
        logits = query @ keys.T / PRETRAINING.temperature
        own = logits[row].exp()
        same = torch.tensor([other != row and target == targets[row] for other, target in enumerate(targets)])
        rows.append(-(own / logits.masked_fill(same, 0.0).exp().sum()).log())
    return torch.stack(rows).mean()


def test_the_pretraining_loss_is_the_plain_sum_of_both_tasks():
    network = model(PRETRAINING, kind=UniSRecPretraining).eval()
    absent = network.absent
    histories, second, targets = [[3, 7], [1, 2, 3], [4, 0]], [[3, 7], [1, 3], [4]], [8, 4, 8]
    inputs = torch.tensor([[absent, 3, 7], [1, 2, 3], [absent, 4, 0]])
    view = torch.tensor([[3, 7], [1, 3], [absent, 4]])
    rows, columns = torch.arange(3), torch.full((3,), 2)
    predictions = Predictions(inputs, rows, columns, torch.tensor(targets), companions={"item_drop_BL": view})
    places, views = (
        torch.stack([slow_vectors(network, torch.tensor(row))[-1] for row in lists]) for lists in (histories, second)
    )
    items = F.normalize(slow_items(network), dim=1)
    expected = slow_contrast(places, items[targets], targets) + 0.5 * slow_contrast(places, views, targets)
    torch.testing.assert_close(network.loss(network.encode_items(), predictions) / 3, expected)


def test_places_before_the_last_take_part_in_the_first_task_alone():
    network = model(changed(PRETRAINING, objective="causal"), kind=UniSRecPretraining).eval()
    step = next(Batches(walks(), network, TRAINER).steps(0, 1))
    (group,) = step.groups
    items = network.encode_items()
    last = group.columns_P == group.inputs_BL.shape[1] - 1
    assert int(last.sum()) == step.sequences < step.positions
    whole = network.loss(items, group)
    network.settings = changed(network.settings, sequence_weight=0.0)
    first = network.loss(items, group)
    alone = replace(group, rows_P=group.rows_P[last], columns_P=group.columns_P[last], targets_P=group.targets_P[last])
    network.settings = changed(network.settings, sequence_weight=0.5)
    second = network.loss(items, alone)
    network.settings = changed(network.settings, sequence_weight=0.0)
    second = second - network.loss(items, alone)
    torch.testing.assert_close(whole - first, second / step.sequences * step.positions, rtol=1e-4, atol=1e-4)


def test_it_learns_to_walk(tmp_path):
    trainer = changed(TRAINER, max_epochs=20, patience=20, learning_rate=0.01)
    state = finetune(model(trainer=trainer, scale=1.0), walks(users=200), trainer, 0, tmp_path, {})
    assert state.best_metric > 0.9


def test_pretraining_lowers_its_loss_and_a_killed_one_ends_as_an_uninterrupted_one(tmp_path):
    def network():
        return model(PRETRAINING, kind=UniSRecPretraining, scale=1.0)

    history = finetune(network(), walks(), TRAINER, 3, tmp_path / "learns", {}).history
    assert history[-1]["loss"] < history[0]["loss"]
    assert_resumes(network, TRAINER, tmp_path, steps=8)


def test_pretraining_refuses_several_processes_and_a_sampled_softmax(tmp_path):
    network = model(PRETRAINING, kind=UniSRecPretraining)
    with pytest.raises(TrainingError, match="several processes"):
        finetune(network, walks(), TRAINER, 3, tmp_path, {}, Processes(torch.device("cpu"), 0, 2))
    with pytest.raises(TrainingError, match="sampled"):
        finetune(network, walks(), changed(TRAINER, sampled_items=4), 3, tmp_path, {})


@pytest.fixture
def folder(tmp_path):
    """A pre-training on another domain."""
    train(EXPERIMENT, START, dataset(items=20, seed=9, name="elsewhere"), tmp_path / "start")
    return tmp_path / "start"


def test_a_start_of_another_domain_loads_every_tensor_and_freezes_the_body(folder, tmp_path):
    network, _, start = untrained(2, LATER, dataset(), start=folder)
    weights = read_weights(folder)
    assert start.loaded == sorted(weights) == sorted(network.state_dict())
    assert (start.new, start.unused) == ([], [])
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {name for name in weights if name.startswith(("adaptor.", "input.norm."))}

    train(replace(EXPERIMENT, variant="later"), LATER, dataset(), tmp_path / "later", start=folder)
    after = read_weights(tmp_path / "later")
    changed_names = {name for name in weights if not torch.equal(after[name], weights[name])}
    assert changed_names == trained


def test_without_a_start_everything_is_trained():
    network, *_ = untrained(2, LATER, dataset())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_killed_training_with_frozen_blocks_ends_as_an_uninterrupted_one(folder, tmp_path):
    train(EXPERIMENT, LATER, dataset(), tmp_path / "whole", start=folder)
    with killed_at(5):
        train(EXPERIMENT, LATER, dataset(), tmp_path / "killed", start=folder, save_minutes=0)
    train(EXPERIMENT, LATER, dataset(), tmp_path / "killed", start=folder)
    for name in ("weights.safetensors", "last.safetensors", "config.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("settings", "data", "named"),
    [
        (changed(SETTINGS, dim=32), {}, r"adaptor\.experts\.0\.project\.weight"),
        (changed(SETTINGS, experts=4), {}, r"adaptor\.experts\.3"),
        (changed(SETTINGS, positions="end"), {}, "positions"),
        (SETTINGS, {"digest": "bert"}, "features of other encoders"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(folder, settings, data, named):
    with pytest.raises(CheckpointError, match=named):
        untrained(2, ModelSettings("unisrec", settings, TRAINER), dataset(**data), start=folder)
