"""The amounts of a training against plain counting."""

from dataclasses import replace
from pathlib import Path

import pytest

from mmsrec.costs.training_work import Size, mean_over_users, training_work
from mmsrec.settings.params import read_params

ROOT = Path(__file__).parents[3]
LENGTH = 9
# All users have one length if the mean is k.
SIZE = Size(users=100, items=50, actions=100 * LENGTH)


@pytest.fixture(scope="module")
def sasrec():
    chosen = read_params(ROOT / "params.yaml").settings_of("demo-shop", "demo-sasrec")
    return replace(chosen, trainer=chosen.trainer.model_copy(update={"max_length": 4, "batch_size": 30}))


def lengths(augment: str, longest: int) -> list[int]:
    """The lengths of one user's training sequences: of the actions before the last two, in fours at most."""
    last = LENGTH - 2
    prefixes = [min(end, longest) for end in range(2, last + 1)]
    return {"prefixes": prefixes, "windows": [4, 3], "none": [longest]}[augment]


@pytest.mark.parametrize("augment", ["prefixes", "windows", "none"])
def test_sequences_and_places_are_counted(sasrec, augment):
    trainer = sasrec.trainer.model_copy(update={"augment": augment, "max_epochs": 3})
    work = training_work(replace(sasrec, trainer=trainer), SIZE, LENGTH, 0, 10)
    expected = lengths(augment, 4)
    assert work["step"] == 3 * -(-100 * len(expected) // 30)
    assert work["place"] == pytest.approx(3 * 100 * sum(expected))
    assert work["item"] == work["step"] * SIZE.items
    assert work["user"] == 3 * SIZE.users


def test_a_random_prefix_has_the_mean_of_all(sasrec):
    trainer = sasrec.trainer.model_copy(update={"augment": "random", "max_epochs": 1})
    work = training_work(replace(sasrec, trainer=trainer), SIZE, LENGTH, 0, 10)
    expected = lengths("prefixes", 4)
    assert work["place"] == pytest.approx(100 * sum(expected) / len(expected))


def test_each_modality_and_the_limit_of_epochs_count(sasrec):
    alone, both = (training_work(sasrec, SIZE, LENGTH, modalities, 2) for modalities in (1, 2))
    assert [both[unit] / alone[unit] for unit in ("step", "place", "item", "user")] == [1, 2, 2, 1]
    assert alone["user"] == 2 * SIZE.users


def test_lengths_have_the_mean_of_the_data():
    assert mean_over_users(Size(1000, 10, 9415), 5, lambda n: n) == pytest.approx(9.415, rel=1e-3)
