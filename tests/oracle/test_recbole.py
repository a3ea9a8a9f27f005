"""RecBole and our models compute the same from the same weights: scores, losses, gradients, sequences and metrics.

RecBole numbers positions from the start of a history, and some of our models from its end. So the histories of a case
have one length. For a model that numbers from the end, RecBole gets the positions in reverse order.
"""

from functools import cached_property

import numpy as np
import pytest
import torch

from benchmarks.recbole_process import PEERS, RecBole, part, under
from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank_vectors
from mmsrec.nn.training_sequences import examples
from mmsrec.training.batches import Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item_step import adamw, train_step
from tests.oracle.translations import POSITION, TRANSLATIONS
from tests.oracle.worlds import ITEMS, LONGEST, sequences_of, weights_of, world

LENGTHS, CASE = (1, 3, 7, LONGEST), 16  # of the cases' histories, and histories of a case
CUTOFFS = [10, 50]
CLOSE = 1e-5
CPU = torch.device("cpu")


class Comparison:
    """One model on both sides; RecBole's half runs once."""

    def __init__(self, variant, folder):
        self.world, self._translate = world(variant), TRANSLATIONS[variant]
        generator = np.random.default_rng(4)
        self.histories = [generator.integers(ITEMS, size=(CASE, length)) for length in LENGTHS]
        self.targets = generator.integers(ITEMS, size=(len(LENGTHS), CASE))
        self._recbole = RecBole(folder, PEERS[variant](self.world.attributes), LONGEST)

    @cached_property
    def answer(self):
        weights = self._translate(weights_of(self.world.model))
        question = {"cases": np.array(len(LENGTHS))} | under("weights", weights)
        for case, (histories, targets) in enumerate(zip(self.histories, self.targets, strict=True)):
            question |= under(f"case{case}", {"inputs": histories, "targets": targets})
            if POSITION in weights:
                question[f"case{case}/weights/{POSITION}"] = self.positions(weights[POSITION], histories.shape[1])
        self._recbole.write_job(self.world.sequences)
        return self._recbole.ask("compare", question)

    def positions(self, rows, length):
        """Rows of positions in the other side's order, for histories of one length; they read no other rows."""
        return np.concatenate([rows[:length][::-1], rows[length:]]) if self.world.reads_from_end else rows

    def step(self):
        """Our loss and gradients of one step on all cases together."""
        model, trainer = self.world.model, self.world.trainer.model_copy(update={"learning_rate": 1e-30})
        lists = [
            # Two more items, which are held out.
            [*history, target, 0, 0]
            for histories, targets in zip(self.histories, self.targets, strict=True)
            for history, target in zip(histories, targets, strict=True)
        ]
        step = next(Batches(sequences_of(lists), model, trainer).steps(0, 0))
        loss = train_step(model, adamw(model, trainer), step, trainer, (0,), Processes(CPU))
        return loss / step.positions, self._translate({name: x.grad.numpy() for name, x in model.named_parameters()})


@pytest.fixture(scope="module", params=list(TRANSLATIONS))
def sides(request, tmp_path_factory, opted_in):
    return Comparison(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize(("case", "length"), [*enumerate(LENGTHS)])
def test_same_weights_give_the_same_scores(sides, case, length, differ):
    # Padded to the longest, as in a batch of different lengths.
    padded_BL = torch.full((CASE, LONGEST), sides.world.model.absent)
    padded_BL[:, -length:] = torch.from_numpy(sides.histories[case])

    assert differ(sides.world.model.scores(padded_BL), sides.answer[f"case{case}/scores"]) < CLOSE


def test_same_batch_gives_the_same_loss(sides, differ):
    loss, _ = sides.step()

    assert differ(loss, np.mean([sides.answer[f"case{case}/loss"] for case in range(len(LENGTHS))])) < CLOSE


def test_same_batch_gives_the_same_gradients(sides, differ):
    _, gradients = sides.step()

    expected = [part(sides.answer, f"case{case}/gradients") for case in range(len(LENGTHS))]
    for found, length in zip(expected, LENGTHS, strict=True):
        if POSITION in found:
            found[POSITION] = sides.positions(found[POSITION], length)
    assert gradients.keys() == expected[0].keys()
    for name, ours in gradients.items():
        theirs = np.mean([found[name] for found in expected], axis=0)
        assert not theirs[len(ours) :].any(), f"padding has no gradient: {name}"
        assert differ(ours, theirs[: len(ours)], scale_of(name, gradients)) < CLOSE, name


def scale_of(name, gradients):
    """The largest element of a gradient. Where softmax ignores a bias, its gradient is rounding, and another counts."""
    for ignored, other in (("key.bias", "query.bias"), ("projection.2.bias", "projection.2.weight")):
        name = name.replace(ignored, other)
    return np.abs(gradients[name]).max()


@pytest.mark.parametrize(("held_out", "name"), [(None, "train"), (2, "valid"), (1, "test")])
def test_the_same_sequences(sides, held_out, name, differ):
    sequences = sides.world.sequences
    if held_out is None:
        chosen = examples(sequences, "prefixes", sides.world.trainer.max_length)
        users, ends = chosen.users_E, chosen.ends_E
    else:
        users, ends = torch.arange(sequences.users), sequences.ends(held_out) + 1
    windows = sequences.windows(users, ends, LONGEST + 1, -1).numpy()
    # RecBole pads on the right.
    inputs = np.stack([np.concatenate([row[row >= 0], row[row < 0]]) for row in windows[:, :-1]])

    assert differ(in_order(users, inputs, windows[:, -1]), in_order(**part(sides.answer, name))) == 0


def in_order(users, inputs, targets):
    rows = np.column_stack([users, inputs, targets])
    return rows[np.lexsort(rows.T[::-1])]


def test_the_same_scores_give_the_same_metrics(sides, differ):
    # The dot product with a unit vector is a score itself.
    queries, items = torch.from_numpy(sides.answer["scores"]), torch.eye(ITEMS)
    ranks = rank_vectors(queries, items, torch.from_numpy(sides.answer["test/targets"]))
    assert ranks.ties_U.max() == 1
    ours = metrics(ranks.rank_U.numpy(), ranks.ties_U.numpy(), CUTOFFS)

    theirs = part(sides.answer, "metrics")
    names = [f"{metric}@{cutoff}" for metric in ("recall", "ndcg") for cutoff in CUTOFFS]
    assert differ([ours[name] for name in names], [theirs[name] for name in names]) < 1e-12
