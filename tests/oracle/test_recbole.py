"""RecBole and our models compute the same from the same weights: scores, losses, gradients, sequences and metrics.

Dropout is off on both sides. The data are random walks over few items, some longer than the longest history. RecBole
numbers positions from the start of a history, and our models from its end. So a case holds histories of one length, for
which RecBole gets the positions in reverse order.
"""

from functools import cached_property

import numpy as np
import pytest
import torch

from benchmarks.recbole_process import PEERS, part, under
from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank_vectors
from mmsrec.models.recommender import ModelInputs
from mmsrec.models.registry import MODELS
from mmsrec.nn.user_sequences import Sequences
from mmsrec.training.batches import Batches, examples
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item_step import adamw, train_step
from mmsrec.training.runtime import seed_everything
from tests.oracle.translations import LONGEST, POSITION, TRANSLATIONS, settings_of

ITEMS, USERS = 80, 150
LENGTHS, CASE = (1, 3, 7, LONGEST), 16  # of the cases' histories, and histories of a case
CUTOFFS = [10, 50]
SCALE = 5  # of the initial weights, so that no score is near zero
CLOSE = 1e-5


def sequences_of(lists):
    lengths = torch.tensor([0, *map(len, lists)])
    return Sequences(torch.cat([torch.as_tensor(items) for items in lists]), lengths.cumsum(0))


def walks():
    """Users' sequences of 4 to 60 items in which every item occurs; items may come again."""
    generator = np.random.default_rng(3)
    lengths = generator.integers(4, LONGEST + 10, USERS)
    return [generator.integers(ITEMS, size=length).tolist() for length in lengths[:-1]] + [[*range(ITEMS)]]


class Comparison:
    """One model on both sides; RecBole's half runs once."""

    def __init__(self, variant, folder):
        self.translate = TRANSLATIONS[variant]
        self.sequences = sequences_of(walks())
        chosen = settings_of(variant)
        self.trainer = chosen.trainer
        seed_everything(1)
        network = MODELS[chosen.model].network_class()
        self.model = network(ModelInputs(ITEMS, {}), chosen.settings, self.trainer).eval()
        with torch.no_grad():
            for weight in self.model.parameters():
                # Biases and LayerNorms, too, so that an error in them shows.
                weight.copy_(SCALE * weight if weight.dim() > 1 else weight + 0.1 * torch.randn(weight.shape))
        generator = np.random.default_rng(4)
        self.histories = [generator.integers(ITEMS, size=(CASE, length)) for length in LENGTHS]
        self.targets = generator.integers(ITEMS, size=(len(LENGTHS), CASE))
        self._recbole = PEERS[variant].at(folder, LONGEST, {})

    @cached_property
    def answer(self):
        weights = self.translate({name: weight.detach().numpy() for name, weight in self.model.named_parameters()})
        position = weights.pop(POSITION, None)
        question = {"cases": np.array(len(LENGTHS))} | under("weights", weights)
        for case, (histories, targets) in enumerate(zip(self.histories, self.targets, strict=True)):
            question |= under(f"case{case}", {"inputs": histories, "targets": targets})
            if position is not None:
                question[f"case{case}/weights/{POSITION}"] = _reversed(position, histories.shape[1])
        self._recbole.write_job(self.sequences, {})
        return self._recbole.ask("compare", question)

    def step(self):
        """Our loss and gradients of one step on all cases together."""
        lists = [
            # Two more items, which are held out.
            torch.tensor([*history, target, 0, 0])
            for histories, targets in zip(self.histories, self.targets, strict=True)
            for history, target in zip(histories, targets, strict=True)
        ]
        step = next(Batches(sequences_of(lists), self.model, self.trainer).steps(0, 0))
        weights = [weight.detach().clone() for weight in self.model.parameters()]
        loss = train_step(self.model, adamw(self.model, self.trainer), step, self.trainer, (0,), Processes(_CPU))
        gradients = {name: weight.grad.numpy() for name, weight in self.model.named_parameters()}
        with torch.no_grad():
            for weight, before in zip(self.model.parameters(), weights, strict=True):
                weight.copy_(before)
        return loss / step.positions, self.translate(gradients)


_CPU = torch.device("cpu")


def _reversed(position, length):
    """The first `length` rows of positions in reverse order; a history of this length reads no others."""
    return np.concatenate([position[:length][::-1], position[length:]])


@pytest.fixture(scope="module", params=list(TRANSLATIONS))
def sides(request, tmp_path_factory, opted_in):
    return Comparison(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize(("case", "length"), [*enumerate(LENGTHS)])
def test_same_weights_give_the_same_scores(sides, case, length, differ):
    # Padded to the longest, as a batch of different lengths is.
    padded_BL = torch.full((CASE, LONGEST), sides.model.absent)
    padded_BL[:, -length:] = torch.from_numpy(sides.histories[case])

    assert differ(sides.model.scores(padded_BL), sides.answer[f"case{case}/scores"]) < CLOSE


def test_same_batch_gives_the_same_loss_and_gradients(sides, differ):
    loss, gradients = sides.step()

    losses = [sides.answer[f"case{case}/loss"] for case in range(len(LENGTHS))]
    assert differ(loss, np.mean(losses)) < CLOSE
    expected = [part(sides.answer, f"case{case}/gradients") for case in range(len(LENGTHS))]
    assert gradients.keys() == expected[0].keys()
    for name, ours in gradients.items():
        theirs = np.mean([_of_length(found, name, length) for found, length in zip(expected, LENGTHS, strict=True)], 0)
        assert not theirs[len(ours) :].any(), "padding has no gradient"
        # Attention does not change with the keys' bias, so this gradient is rounding on both sides.
        scale = np.abs(gradients[name.replace(".key.bias", ".query.bias")]).max()
        assert differ(ours, theirs[: len(ours)], scale) < CLOSE, name


def _of_length(gradients, name, length):
    return _reversed(gradients[name], length) if name == POSITION else gradients[name]


@pytest.mark.parametrize(("held_out", "name"), [(None, "train"), (2, "valid"), (1, "test")])
def test_the_same_sequences(sides, held_out, name, differ):
    """RecBole pads on the right."""
    if held_out is None:
        chosen = examples(sides.sequences, "prefixes", sides.trainer.max_length)
        users, ends = chosen.users_E, chosen.ends_E
    else:
        users, ends = torch.arange(sides.sequences.users), sides.sequences.ends(held_out) + 1
    windows = sides.sequences.windows(users, ends, LONGEST + 1, -1)
    inputs = np.stack([np.concatenate([row[row >= 0], row[row < 0]]) for row in windows[:, :-1].numpy()])

    theirs = part(sides.answer, name)
    assert differ(_sorted(users, inputs, windows[:, -1]), _sorted(**theirs)) == 0


def _sorted(users, inputs, targets):
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
