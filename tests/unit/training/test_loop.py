"""The loop on a linear model: everything that the trainings share."""

import math
from itertools import count, islice
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmsrec.errors import CheckpointError, TrainingError
from mmsrec.training import loop
from mmsrec.training.checkpoint import Checkpoint
from mmsrec.training.distributed import Processes
from mmsrec.training.loop import Loop, Validation
from mmsrec.training.runtime import generator_of

EPOCHS, STEPS, ITEMS = 3, 4, 8
ALONE = Processes(torch.device("cpu"))


class Killed(Exception):
    pass


def linear():
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    return model, torch.optim.AdamW(model.parameters(), lr=1.0)


def batch(epoch, number):
    return torch.randn(ITEMS, 2, generator=generator_of(epoch, number))


def rate(epoch):
    return 0.1 / epoch


def update(model, optimizer, items):
    optimizer.zero_grad()
    loss = (model(items) - items[:, :1]).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(folder, metrics=None, *, epochs=EPOCHS, patience=2, killed_at=None, update=update, key=0, save_seconds=0.0):
    """Runs a loop; returns its model, its state, every step that it did and whether it prepared its model.

    The state is None for a killed run: before the step `killed_at`, or in the validation that has no metric.
    """
    model, optimizer = linear()
    done, prepared, left = [], [], iter(metrics or ())

    def step(items, epoch, number):
        if len(done) + 1 == killed_at:
            raise Killed
        done.append((epoch, number))
        return {"loss": update(model, optimizer, items), "items": ITEMS}

    def measure():
        if (metric := next(left, None)) is None:
            raise Killed
        return metric

    training = Loop(
        model=model,
        optimizer=optimizer,
        max_epochs=epochs,
        steps_per_epoch=STEPS,
        batches=lambda epoch, first: (batch(epoch, number) for number in range(first, STEPS)),
        step=step,
        row=lambda sums: {"loss": sums["loss"] / STEPS, "items": sums["items"]},
        learning_rate=rate,
        unit="items",
        size=STEPS * ITEMS,
        checkpoint=Checkpoint(folder, {"key": key}, keep=2),
        processes=ALONE,
        save_seconds=save_seconds,
        validation=Validation("metric", measure, patience) if metrics else None,
        prepare=lambda: prepared.append(True),
    )
    try:
        state = training.run()
    except Killed:
        state = None
    return model, state, done, bool(prepared)


def without_seconds(state):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in state.history]


def assert_equal(weights, expected):
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def by_hand():
    """The weights and losses after every epoch, by the plainest loop."""
    model, optimizer = linear()
    for epoch in count(1):
        optimizer.param_groups[0]["lr"] = rate(epoch)
        losses = [update(model, optimizer, batch(epoch, number)) for number in range(STEPS)]
        yield {name: part.clone() for name, part in model.state_dict().items()}, sum(losses) / STEPS


def test_without_validation_all_epochs_run_and_the_last_weights_are_the_result(tmp_path):
    model, state, done, _ = train(tmp_path)
    expected = list(islice(by_hand(), EPOCHS))
    assert done == [(epoch, step) for epoch in range(1, EPOCHS + 1) for step in range(STEPS)]
    assert_equal(state.result, expected[-1][0])
    assert_equal(model.state_dict(), expected[-1][0])
    assert state.best == {}
    assert without_seconds(state) == [
        {"epoch": epoch, "learning_rate": rate(epoch), "loss": loss, "items": STEPS * ITEMS}
        for epoch, (_, loss) in enumerate(expected, 1)
    ]


def test_validation_stops_after_its_patience_and_the_best_weights_are_the_result(tmp_path):
    model, state, _, _ = train(tmp_path, [0.1, 0.3, 0.2, 0.3, 0.9], epochs=9)
    expected = [weights for weights, _ in islice(by_hand(), 4)]
    assert [row["metric"] for row in state.history] == [0.1, 0.3, 0.2, 0.3]
    assert (state.best_epoch, state.best_metric) == (2, 0.3)
    assert_equal(state.result, expected[1])
    assert_equal(model.state_dict(), expected[1])
    assert_equal(state.model, expected[3])


@pytest.mark.parametrize("killed_at", range(1, EPOCHS * STEPS + 1))
@pytest.mark.parametrize("save_seconds", [0.0, 60.0], ids=["saved each step", "saved each epoch"])
def test_a_killed_training_ends_as_an_uninterrupted_one(tmp_path, killed_at, save_seconds):
    metrics = [0.2, 0.3, 0.1]
    expected_model, expected, _, _ = train(tmp_path / "uninterrupted", metrics)
    _, _, before, _ = train(tmp_path / "killed", metrics, killed_at=killed_at, save_seconds=save_seconds)
    finished = (killed_at - 1) // STEPS  # epochs
    model, state, after, prepared = train(tmp_path / "killed", metrics[finished:], save_seconds=save_seconds)
    assert prepared == (killed_at == 1 if save_seconds == 0 else finished == 0)
    assert after[0] == (finished + 1, (killed_at - 1) % STEPS if save_seconds == 0 else 0)
    assert set(before) | set(after) == {(epoch, step) for epoch in range(1, EPOCHS + 1) for step in range(STEPS)}
    assert without_seconds(state) == without_seconds(expected)
    assert_equal(model.state_dict(), expected_model.state_dict())
    assert_equal(state.model, expected.model)


def test_checkpoints_are_some_seconds_apart_and_at_the_end_of_epochs(tmp_path, monkeypatch):
    seconds, saved = [0], []
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    monkeypatch.setattr(Checkpoint, "save", lambda self, state, done: saved.append((state.epoch, state.step)))

    def slow(*given):
        seconds[0] += 1
        return update(*given)

    train(tmp_path, epochs=2, save_seconds=1.5, update=slow)
    assert saved == [(1, 2), (1, 4), (2, 0), (2, 2), (2, 4), (3, 0)]


def test_a_training_killed_in_its_validation_does_no_step_again(tmp_path):
    _, killed, _, _ = train(tmp_path, [0.1], epochs=2)
    assert killed is None
    _, state, done, _ = train(tmp_path, [0.3], epochs=2)
    assert done == []
    assert [row["metric"] for row in state.history] == [0.1, 0.3]


def test_a_training_killed_while_it_waits_for_a_better_epoch_stops_on_time(tmp_path):
    train(tmp_path, [0.1, 0.3], epochs=9, killed_at=2 * STEPS + 2)
    _, state, _, _ = train(tmp_path, [0.2, 0.25, 0.9], epochs=9)
    assert [row["metric"] for row in state.history] == [0.1, 0.3, 0.2, 0.25]
    assert state.best_epoch == 2


@pytest.mark.parametrize("metrics", [None, [0.3, 0.1, 0.2]])
def test_a_finished_training_does_no_further_step(tmp_path, metrics):
    model, state, _, _ = train(tmp_path, metrics)
    again, repeated, done, _ = train(tmp_path, metrics)
    assert done == []
    assert repeated.history == state.history
    assert_equal(again.state_dict(), model.state_dict())


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error(tmp_path, loss):
    with pytest.raises(TrainingError, match="not a finite number") as caught:
        train(tmp_path, update=lambda *_: loss)
    assert caught.value.details.keys() == {"where", "expected", "found", "fix"}


def test_a_checkpoint_of_another_key_is_not_continued_but_removed(tmp_path):
    train(tmp_path)
    _, _, done, prepared = train(tmp_path, key=1)
    assert prepared
    assert len(done) == EPOCHS * STEPS
    assert len({path.name.split("-")[1] for path in tmp_path.glob("checkpoint-*.pt")}) == 1


def test_a_checkpoint_of_another_version_is_an_error(tmp_path):
    Checkpoint(tmp_path, {"key": 0}).save(SimpleNamespace(totals={}), 1)
    with pytest.raises(CheckpointError, match="Another version") as caught:
        train(tmp_path)
    assert "totals" in str(caught.value)
