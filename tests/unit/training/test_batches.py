import torch

from mmsrec.model.recommender import TrainedRecommender
from mmsrec.training.batches import examples, steps
from tests.unit.model.test_sequences import make
from tests.unit.training.examples import SETTINGS, walks


class Untrained(TrainedRecommender):
    longest_history = 5

    def catalogue(self): ...

    def user_vectors(self, catalogue, histories_BL): ...

    def loss(self, catalogue, predictions): ...


def test_prefixes_of_at_least_two_items_end_before_the_held_out_items():
    sequences = make([1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11, 12])
    chosen = examples(sequences, "prefixes")
    found = [
        sequences.items_A[sequences.offsets_U1[user] : end].tolist()
        for user, end in zip(chosen.users_E.tolist(), chosen.ends_E.tolist(), strict=True)
    ]
    assert found == [[1, 2], [1, 2, 3], [9, 10]]


def test_without_augmentation_a_user_gives_one_sequence():
    chosen = examples(make([1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11, 12]), "none")
    assert chosen.users_E.tolist() == [0, 2]
    assert chosen.ends_E.tolist() == [3, 10]


def epoch(seed=0):
    sequences = walks()
    generator = torch.Generator().manual_seed(seed)
    return sequences, list(steps(sequences, examples(sequences, "prefixes"), Untrained(12), SETTINGS, generator))


def test_an_epoch_holds_every_example_once_and_no_held_out_item():
    sequences, found = epoch()
    last = sorted(
        int(target)
        for step in found
        for group in step.groups
        for target, column in zip(group.targets_P, group.columns_P, strict=True)
        if column == group.inputs_BL.shape[1] - 1
    )
    chosen = examples(sequences, "prefixes")
    assert last == sorted(sequences.items_A[chosen.ends_E - 1].tolist())
    assert (chosen.ends_E <= sequences.ends(2)[chosen.users_E]).all()


def test_counts_of_a_step_are_those_of_its_groups():
    _, found = epoch()
    for step in found:
        assert step.positions == sum(len(group.targets_P) for group in step.groups)
        assert step.sequences == sum(len(group.inputs_BL) for group in step.groups) <= SETTINGS.batch_size
        assert step.computed == sum(group.inputs_BL.numel() for group in step.groups) >= step.useful


def test_the_same_generator_gives_the_same_batches():
    for first, second in zip(epoch(3)[1], epoch(3)[1], strict=True):
        for one, other in zip(first.groups, second.groups, strict=True):
            assert torch.equal(one.inputs_BL, other.inputs_BL)
            assert torch.equal(one.targets_P, other.targets_P)
