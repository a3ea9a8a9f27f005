import pytest
import torch

from mmsrec.errors import DataError, TrainingError
from mmsrec.models.recommender import TrainedRecommender
from mmsrec.nn.companions import Companions
from mmsrec.nn.objectives import Causal, Masked, Next
from mmsrec.nn.training_sequences import examples
from mmsrec.training.batches import GROUP_POSITIONS, Batches
from mmsrec.training.runtime import generator_of
from tests.unit.models.examples import TRAINER, changed
from tests.unit.nn.test_user_sequences import make
from tests.unit.training.examples import walks

MASKED = Masked(0.3)


class Untrained(TrainedRecommender):
    objective = None

    def __init__(self, objective):
        super().__init__(12, TRAINER)
        self.objective = objective

    def encode_items(self, items_K=None): ...

    def user_vectors(self, items, histories_BL): ...

    def loss(self, items, predictions): ...


def test_prefixes_of_at_least_two_items_end_before_the_held_out_items():
    sequences = make([1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11, 12])
    assert trained_on(sequences, "prefixes", 6) == [[1, 2], [1, 2, 3], [9, 10]]


def trained_on(sequences, augment, max_length):
    chosen = examples(sequences, augment, max_length)
    return [
        sequences.items_A[max(int(sequences.offsets_U1[user]), end - max_length) : end].tolist()
        for user, end in zip(chosen.users_E.tolist(), chosen.ends_E.tolist(), strict=True)
    ]


def test_without_augmentation_a_user_gives_one_sequence():
    sequences = make([1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11, 12])
    assert trained_on(sequences, "none", 6) == [[1, 2, 3], [9, 10]]


def test_windows_hold_every_action_once_as_a_target():
    sequences = make(list(range(12)), [6, 7, 8], [9, 10, 11, 0])
    assert trained_on(sequences, "windows", 4) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9], [9, 10]]
    shortest = make(list(range(11)))
    assert trained_on(shortest, "windows", 4) == [[0, 1, 2], [2, 3, 4, 5], [5, 6, 7, 8]]


def epoch(seed=0, objective=MASKED, first=0, **changes):
    sequences = walks()
    batches = Batches(sequences, Untrained(objective), changed(TRAINER, **changes))
    return sequences, list(batches.steps(seed, 1, first))


def test_an_epoch_holds_every_example_once_and_no_held_out_item():
    sequences, found = epoch()
    last = sorted(
        int(target)
        for step in found
        for group in step.groups
        for target, column in zip(group.targets_P, group.columns_P, strict=True)
        if column == group.inputs_BL.shape[1] - 1
    )
    chosen = examples(sequences, "prefixes", TRAINER.max_length)
    assert last == sorted(sequences.items_A[chosen.ends_E - 1].tolist())
    assert (chosen.ends_E <= sequences.ends(2)[chosen.users_E]).all()


def test_the_counts_of_a_step_are_sums_over_its_groups():
    _, found = epoch()
    for step in found:
        assert step.positions == sum(len(group.targets_P) for group in step.groups)
        assert step.sequences == sum(len(group.inputs_BL) for group in step.groups) <= TRAINER.batch_size
        assert step.computed == sum(group.inputs_BL.numel() for group in step.groups) >= step.useful


def test_a_causal_epoch_predicts_every_trained_action_but_the_first_of_each_user():
    sequences, found = epoch(objective=Causal(), augment="windows", max_length=4)
    targets = sorted(int(target) for step in found for group in step.groups for target in group.targets_P)
    ends = sequences.ends(2).tolist()
    expected = [
        sequences.items_A[start + 1 : end] for start, end in zip(sequences.offsets_U1.tolist(), ends, strict=False)
    ]
    assert targets == sorted(torch.cat(expected).tolist())
    for step in found:
        for group in step.groups:
            shown = group.inputs_BL[group.rows_P, group.columns_P]
            assert torch.equal(group.targets_P, (shown + 1) % 12)  # users walk through the items in order


def test_a_random_epoch_holds_one_prefix_of_each_user_drawn_anew():
    sequences = walks()
    batches = Batches(sequences, Untrained(Next()), changed(TRAINER, augment="random", max_length=10))
    prefixes = examples(sequences, "prefixes", 10)
    pairs = {(int(user), int(end)) for user, end in zip(prefixes.users_E, prefixes.ends_E, strict=True)}
    seen = [set() for _ in range(sequences.users)]
    for number in range(1, 60):
        steps = list(batches.steps(0, number))
        assert sum(step.sequences for step in steps) == sum(step.positions for step in steps) == len(batches)
        ends = torch.cat([batches._examples.ends_E[batches._order(generator_of(0, number))]]).tolist()
        users = (torch.searchsorted(sequences.offsets_U1, torch.tensor(ends) - 1, right=True) - 1).tolist()
        assert sorted(users) == list(range(sequences.users))
        for user, end in zip(users, ends, strict=True):
            assert (user, end) in pairs
            seen[user].add(end)
    assert len(set().union(*seen)) == len(pairs), "each prefix is drawn in some epoch"


def test_a_random_epoch_can_start_at_any_step():
    _, whole = epoch(3, augment="random", batch_size=8)
    _, rest = epoch(3, first=2, augment="random", batch_size=8)
    assert len(rest) == len(whole) - 2 == 3
    for one, other in zip(whole[2].groups, rest[0].groups, strict=True):
        assert torch.equal(one.inputs_BL, other.inputs_BL)


class Ends(Companions):
    """Gives each sequence its own last item."""

    def prepare(self, sequences, chosen):
        self.targets_E = sequences.items_A[chosen.ends_E - 1]

    def draw(self, batch_B, windows_BL, generator):
        assert torch.equal(self.targets_E[batch_B], windows_BL[:, -1])
        return {"last_B": windows_BL[:, -1]}


class Accompanied(Untrained):
    companions = Ends()


class Whole(Accompanied):
    whole_step = True


@pytest.mark.parametrize("augment", ["prefixes", "random"])
def test_companions_follow_the_sequences_into_their_groups(monkeypatch, augment):
    monkeypatch.setitem(GROUP_POSITIONS, "cpu", (4, 16))
    batches = Batches(walks(), Accompanied(Next()), changed(TRAINER, augment=augment))
    for step in batches.steps(0, 1):
        assert len(step.groups) > 1
        for group in step.groups:
            assert torch.equal(group.companions["last_B"], group.targets_P)


def test_a_whole_step_is_one_group(monkeypatch):
    monkeypatch.setitem(GROUP_POSITIONS, "cpu", (4, 16))
    for step in Batches(walks(), Whole(Next()), TRAINER).steps(0, 1):
        (group,) = step.groups
        assert len(group.inputs_BL) == step.sequences == len(group.companions["last_B"])


def test_sampled_items_for_a_model_with_companions_are_an_error():
    with pytest.raises(TrainingError, match="sampled_items: 5"):
        Batches(walks(), Accompanied(Next()), changed(TRAINER, sampled_items=5))


@pytest.mark.parametrize("sampled", [0, 3])
def test_adjusted_logits_gain_the_logarithm_of_the_training_counts(sampled):
    sequences, found = epoch(logit_adjustment=0.5, sampled_items=sampled)
    counts = sequences.counts(sequences.ends(2), 12)
    for step in found:
        expected = 0.5 * (counts + 1).log()
        for group in step.groups:
            torch.testing.assert_close(group.prior_K, expected if step.items_K is None else expected[step.items_K])


def test_without_adjustment_there_is_no_prior():
    assert all(group.prior_K is None for step in epoch()[1] for group in step.groups)


def test_adjusted_logits_for_a_model_that_only_pre_trains_are_an_error(monkeypatch):
    monkeypatch.setattr(Untrained, "validated", False)
    with pytest.raises(TrainingError, match="only pre-trains"):
        epoch(logit_adjustment=1.0)


def test_sequences_that_are_too_short_to_train_on_are_an_error():
    with pytest.raises(DataError, match="2 users with at most 3 actions"):
        Batches(make([1, 2, 3], [4, 5, 6]), Untrained(Causal()), TRAINER)


def test_every_step_and_the_order_of_an_epoch_have_their_own_generators(monkeypatch):
    drawn = []

    def recorded(*key):
        generator = generator_of(*key)
        drawn.append(int(torch.randint(2**62, (), generator=generator)))
        return generator

    monkeypatch.setattr("mmsrec.training.batches.generator_of", recorded)
    _, steps = epoch()
    assert len(set(drawn)) == len(drawn) == len(steps) + 1


def test_an_epoch_can_start_at_any_step():
    _, whole = epoch(3, sampled_items=5)
    _, rest = epoch(3, first=2, sampled_items=5)
    assert len(rest) == len(whole) - 2
    for one, other in zip(whole[2].groups, rest[0].groups, strict=True):
        assert torch.equal(one.inputs_BL, other.inputs_BL)
        assert torch.equal(one.negatives.items_S, other.negatives.items_S)


def test_the_same_seed_gives_the_same_batches():
    for first, second in zip(epoch(3)[1], epoch(3)[1], strict=True):
        for one, other in zip(first.groups, second.groups, strict=True):
            assert torch.equal(one.inputs_BL, other.inputs_BL)
            assert torch.equal(one.targets_P, other.targets_P)
