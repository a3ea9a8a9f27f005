import math

import pytest
import torch
from torch.nn import functional as F

from mmsrec.errors import TrainingError
from mmsrec.models.duorec import DuoRec
from mmsrec.models.recommender import ModelInputs
from mmsrec.nn.predictions import Predictions
from mmsrec.training.batches import Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything, seeded_dropout
from tests.unit.models.examples import DUOREC, TRAINER, changed
from tests.unit.training.examples import walks
from tests.unit.training.resumed import assert_resumes

ITEMS = 12
CPU = torch.device("cpu")


def model(settings=DUOREC, trainer=TRAINER):
    seed_everything(5, 0)
    return DuoRec(ModelInputs(ITEMS, {}), settings, trainer)


@torch.no_grad()
def vector(network, row):
    """The vector of the last place of one sequence, which is computed alone and without padding."""
    history = row[row < ITEMS][None]
    return network.sequences.at_last_place(network.encode_items(), history)[0]


@torch.no_grad()
def slow_loss(network, predictions):
    """The loss without dropout, sequence by sequence; `vector` alone is taken from the model."""
    one = [vector(network, row) for row in predictions.inputs_BL]
    other = [vector(network, row) for row in predictions.companions["same_target_BL"]]
    total = 0.0
    for own, target in zip(one, predictions.targets_P.tolist(), strict=True):
        scores = [float(own @ item) for item in network.item.weight]
        total += math.log(sum(math.exp(score) for score in scores)) - scores[target]
    vectors, contrast = one + other, 0.0
    for own in range(len(vectors)):
        logits = [float(vectors[own] @ each) / DUOREC.temperature for each in vectors]
        partner = (own + len(one)) % len(vectors)
        total_others = sum(math.exp(logit) for index, logit in enumerate(logits) if index != own)
        contrast += math.log(total_others) - logits[partner]
    return total + DUOREC.weight * len(one) * contrast / len(vectors)


def group(network):
    """Three sequences, the first two with the same target, and their partners."""
    absent = network.absent
    inputs = torch.tensor([[absent, 3, 7], [1, 2, 3], [absent, absent, 6]])
    partners = torch.tensor([[absent, 1, 2, 3], [2, 4, 5, 7], [absent, absent, absent, 6]])
    rows = torch.arange(3)
    return Predictions(
        inputs, rows, torch.full_like(rows, 2), torch.tensor([8, 8, 4]), companions={"same_target_BL": partners}
    )


def test_loss_equals_a_sum_sequence_by_sequence_and_a_third_one_of_the_target_stays_a_negative():
    network = model().eval()
    found = network.loss(network.encode_items(), group(network))
    assert float(found.detach()) == pytest.approx(slow_loss(network, group(network)), rel=1e-5)


def test_a_sequence_passes_the_encoder_twice_and_its_partner_once_under_own_draws(monkeypatch):
    network, passes = model(changed(DUOREC, embedding_dropout=0.5)).train(), []
    encode = type(network.sequences).of_sequences

    def recorded(self, items, inputs):
        passes.append((inputs, encode(self, items, inputs)))
        return passes[-1][1]

    monkeypatch.setattr(type(network.sequences), "of_sequences", recorded)
    predictions = group(network)
    with seeded_dropout(CPU, 1):
        network.loss(network.encode_items(), predictions)
    first, second, partners = passes
    assert torch.equal(first[0], second[0])
    assert torch.equal(partners[0], predictions.companions["same_target_BL"])
    assert not torch.isclose(first[1], second[1]).all()


def test_a_weight_of_zero_leaves_the_cross_entropy():
    network = model(changed(DUOREC, weight=0.0)).eval()
    predictions, items = group(network), network.encode_items()
    queries = torch.stack([vector(network, row) for row in predictions.inputs_BL])
    expected = F.cross_entropy(queries @ items.vectors_KD.T, predictions.targets_P, reduction="sum")
    torch.testing.assert_close(network.loss(items, predictions), expected)


@pytest.mark.parametrize("augment", ["prefixes", "random"])
def test_partners_of_a_step_have_the_target_of_their_sequence(augment):
    sequences, trainer = walks(users=20), changed(TRAINER, augment=augment)
    steps = list(Batches(sequences, model(), trainer).steps(0, 1))
    for step in steps:
        (whole,) = step.groups
        # Users walk through the items in order, so the item before the target decides the target.
        last = whole.companions["same_target_BL"][:, -1]
        assert torch.equal((last + 1) % ITEMS, whole.targets_P)


def test_learns_to_walk(tmp_path):
    trainer = changed(TRAINER, max_epochs=8, patience=8)
    state = finetune(model(trainer=trainer), walks(users=120), trainer, 0, tmp_path, {})
    assert state.best_metric > 0.95


def test_a_killed_training_ends_as_an_uninterrupted_one(tmp_path):
    assert_resumes(model, changed(TRAINER, augment="random", batch_size=12), tmp_path, steps=6)


def test_several_processes_and_sampled_items_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="2 processes"):
        finetune(model(), walks(), TRAINER, 3, tmp_path, {}, Processes(CPU, 0, 2))
    trainer = changed(TRAINER, sampled_items=6)
    with pytest.raises(TrainingError, match="sampled_items: 6"):
        finetune(model(trainer=trainer), walks(), trainer, 3, tmp_path, {})
