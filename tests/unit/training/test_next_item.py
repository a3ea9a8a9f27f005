from hashlib import sha256

import pytest
import torch

from mmsrec.artifacts import SCHEMAS
from mmsrec.errors import CheckpointError, TrainingError
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import ENCODED_TOGETHER
from mmsrec.training import next_item
from mmsrec.training.batches import GROUP_POSITIONS, Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item import finetune
from mmsrec.training.next_item_step import train_step
from mmsrec.training.runtime import seed_everything
from tests.unit.models.examples import text_inputs
from tests.unit.training.examples import SETTINGS, TRAINER, walks
from tests.unit.training.resumed import assert_resumes, without_seconds

ITEMS = 12
CPU = torch.device("cpu")


def model(settings=SETTINGS):
    seed_everything(7, 0)
    return MMSRec(text_inputs(torch.eye(ITEMS)), settings, TRAINER)


def test_a_trained_model_predicts_the_next_item_of_a_walk(tmp_path):
    trainer = TRAINER.model_copy(update={"max_epochs": 16, "patience": 16})
    state = finetune(model(), walks(users=200), trainer, 0, tmp_path, {})
    assert state.history[-1]["loss"] < 0.5 * state.history[0]["loss"]
    assert state.best_metric > 0.95


def test_the_same_seed_gives_the_same_history_and_weights(tmp_path):
    runs = [finetune(model(), walks(), TRAINER, 3, tmp_path / str(number), {}) for number in range(2)]
    assert without_seconds(runs[0].history) == without_seconds(runs[1].history)
    assert all(torch.equal(runs[0].best[name], runs[1].best[name]) for name in runs[0].best)


def test_several_processes_refuse_a_model_of_whole_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(MMSRec, "whole_step", True)
    with pytest.raises(TrainingError, match="2 processes"):
        finetune(model(), walks(), TRAINER, 3, tmp_path, {}, Processes(CPU, 0, 2))


def test_without_a_limit_gradients_are_not_clipped():
    gradients = []
    for limit in (None, 1e9, 1e-3):
        network = model().train()
        trainer = TRAINER.model_copy(update={"clip_norm": limit})
        step = next(Batches(walks(), network, trainer).steps(0, 2))
        train_step(network, torch.optim.SGD(network.parameters(), lr=0.0), step, trainer, (0,), Processes(CPU))
        gradients.append(torch.cat([part.grad.flatten() for part in network.parameters() if part.grad is not None]))
    assert torch.equal(gradients[0], gradients[1])
    assert gradients[2].norm() < 0.01 < gradients[0].norm()


def test_validation_ranks_the_same_drawn_users_in_every_epoch(tmp_path, monkeypatch):
    ranked = []
    measured = next_item.validation_metric

    def observed(model, sequences, *others):
        ranked.append(sequences)
        return measured(model, sequences, *others)

    monkeypatch.setattr(next_item, "validation_metric", observed)
    sequences = walks()
    for users, seed in [(15, 3), (15, 4), (sequences.users, 3)]:
        trainer = TRAINER.model_copy(update={"validation_users": users})
        finetune(model(), sequences, trainer, seed, tmp_path / f"{users}-{seed}", {})
    first, again, last, other, *_, all_users = ranked
    assert torch.equal(first.items_A, again.items_A)
    assert torch.equal(first.items_A, last.items_A)
    assert first.users == other.users == 15
    assert not torch.equal(first.items_A, other.items_A)
    assert all_users is sequences
    whole = {tuple(part.tolist()) for part in sequences.items_A.split(sequences.offsets_U1.diff().tolist())}
    assert {tuple(part.tolist()) for part in first.items_A.split(first.offsets_U1.diff().tolist())} <= whole


def test_the_drawn_share_of_users_trains_and_all_are_ranked(tmp_path, monkeypatch):
    trained, ranked = [], []
    batches, measured = next_item.Batches, next_item.validation_metric

    def observed_batches(learned, *others):
        trained.append(learned)
        return batches(learned, *others)

    def observed_metric(network, users, *others):
        ranked.append(users)
        return measured(network, users, *others)

    monkeypatch.setattr(next_item, "Batches", observed_batches)
    monkeypatch.setattr(next_item, "validation_metric", observed_metric)
    sequences = walks()
    for share, seed in [(0.26, 3), (0.26, 3), (0.26, 4), (1.0, 3)]:
        trainer = TRAINER.model_copy(update={"training_users": share, "max_epochs": 1})
        finetune(model(), sequences, trainer, seed, tmp_path / f"{len(trained)}", {})
    few, again, other, everyone = trained
    assert few.users == other.users == 11  # of 40, rounded up
    assert torch.equal(few.items_A, again.items_A)
    assert not torch.equal(few.items_A, other.items_A)
    assert everyone is sequences
    assert all(users is sequences for users in ranked)


def test_a_linear_schedule_falls_from_the_first_epoch_to_0_after_the_last(tmp_path):
    trainer = TRAINER.model_copy(update={"schedule": "linear", "max_epochs": 4, "patience": 4})
    rates = [row["learning_rate"] for row in finetune(model(), walks(), trainer, 0, tmp_path / "falls", {}).history]
    assert rates == pytest.approx([0.003, 0.00225, 0.0015, 0.00075])
    same = [row["learning_rate"] for row in finetune(model(), walks(), TRAINER, 0, tmp_path / "same", {}).history]
    assert same == [0.003] * 3


def test_another_seed_gives_another_history(tmp_path):
    runs = [finetune(model(), walks(), TRAINER, seed, tmp_path / str(seed), {}) for seed in (3, 4)]
    assert without_seconds(runs[0].history) != without_seconds(runs[1].history)


CAUSAL = (
    SETTINGS.model_copy(update={"objective": "causal", "item_embedding": True}),
    TRAINER.model_copy(update={"augment": "none", "sampled_items": 6, "batch_size": 8}),
)


FEW_USERS = {"augment": "random", "batch_size": 8, "schedule": "linear", "training_users": 0.5}
RANDOM = (SETTINGS, TRAINER.model_copy(update=FEW_USERS))


@pytest.mark.parametrize(
    ("settings", "trainer"), [(SETTINGS, TRAINER), CAUSAL, RANDOM], ids=["masked", "causal, sampled", "random"]
)
@pytest.mark.parametrize("save_minutes", [0.0, 10.0], ids=["saved each step", "saved each epoch"])
@pytest.mark.parametrize("steps", [3, 8])
def test_a_killed_training_ends_as_an_uninterrupted_one(tmp_path, settings, trainer, save_minutes, steps):
    assert_resumes(lambda: model(settings), trainer, tmp_path, steps=steps, save_minutes=save_minutes)


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path):
    finetune(model(), walks(), TRAINER, 3, tmp_path, {"learning_rate": 1})
    again = finetune(model(), walks(), TRAINER, 3, tmp_path, {"learning_rate": 2})
    assert [row["epoch"] for row in again.history] == [1, 2, 3]
    assert len(list(tmp_path.glob("checkpoint-*.pt"))) == 1


def test_a_damaged_checkpoint_is_an_error_that_names_it(tmp_path):
    finetune(model(), walks(), TRAINER, 3, tmp_path, {})
    checkpoint = next(tmp_path.glob("checkpoint-*.pt"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=checkpoint.name):
        finetune(model(), walks(), TRAINER, 3, tmp_path, {})


@pytest.mark.parametrize("content", [b"", b"\x80\x02\x87.", b"PK\x03\x04"])
def test_a_checkpoint_that_torch_cannot_read_is_an_error_that_names_it(tmp_path, content):
    finetune(model(), walks(), TRAINER, 3, tmp_path, {})
    checkpoint = next(tmp_path.glob("checkpoint-*.pt"))
    named = checkpoint.with_name(f"{checkpoint.stem.rpartition('-')[0]}-{sha256(content).hexdigest()[:16]}.pt")
    checkpoint.unlink()
    named.write_bytes(content)
    with pytest.raises(CheckpointError, match=named.name):
        finetune(model(), walks(), TRAINER, 3, tmp_path, {})


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    network = model()
    with torch.no_grad():
        network.encoder.output_norm.weight[0] = torch.nan
    with pytest.raises(TrainingError, match="learning_rate"):
        finetune(network, walks(), TRAINER, 3, tmp_path, {})


def test_a_history_has_the_columns_of_its_table(tmp_path):
    trainer = TRAINER.model_copy(update={"max_epochs": 1})
    (row,) = finetune(model(), walks(), trainer, 3, tmp_path, {}).history
    assert row.keys() == set(SCHEMAS["history"].names)
    assert (row["epoch"], row["learning_rate"]) == (1, trainer.learning_rate)
    assert 0 < row["efficiency"] <= 1


@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("sampled", [0, 8])
def test_a_step_in_groups_and_parts_has_the_gradient_of_the_whole_batch(monkeypatch, sampled, objective):
    monkeypatch.setitem(GROUP_POSITIONS, "cpu", (10, 100))
    monkeypatch.setitem(ENCODED_TOGETHER, "cpu", 3)
    without = {"embedding_dropout": 0.0, "hidden_dropout": 0.0}
    settings = SETTINGS.model_copy(update=without | {"item_embedding": True, "objective": objective})
    trainer = TRAINER.model_copy(update={"batch_size": 1000, "clip_norm": 1e9, "sampled_items": sampled})
    sequences = walks()
    network = model(settings).train()
    step = next(Batches(sequences, network, trainer).steps(0, 2))
    assert len(step.groups) > 1
    items = network.encode_items(step.items_K)
    plain = sum(network.loss(items, group) for group in step.groups) / step.positions
    expected = torch.autograd.grad(plain, list(network.parameters()), allow_unused=True)
    total = train_step(network, torch.optim.SGD(network.parameters(), lr=0.0), step, trainer, (0,), Processes(CPU))
    assert total / step.positions == pytest.approx(plain.item(), rel=1e-5)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)
