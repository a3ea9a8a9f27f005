"""RecBole and our pre-training of S3-Rec compute the same terms and gradients from the same weights and draws."""

from functools import cached_property

import numpy as np
import pytest
import torch

from benchmarks.recbole_process import PEERS, RecBole, part, under
from mmsrec.models.s3rec_pretraining_settings import TaskWeights
from mmsrec.nn.predictions import Predictions
from tests.oracle.test_recbole import CLOSE, scale_of
from tests.oracle.translations import POSITION, pretraining
from tests.oracle.worlds import ITEMS, LONGEST, walks, weights_of, world

VARIANT = "s3rec-pretraining-paper"
TERMS = ("aap", "mip", "map", "sp")
SHORTEST = (1, 2, 3)  # items of some sequences
SEQUENCES = 40


class Comparison:
    """One batch on both sides; RecBole's half runs once."""

    def __init__(self, folder):
        self.world = world(VARIANT)
        self.model = self.world.model
        self._recbole = RecBole(folder, PEERS[VARIANT](self.world.attributes), LONGEST)
        lists = [*walks()[:SEQUENCES], *(row[:length] for row in walks()[:4] for length in SHORTEST)]
        # The first column is not read.
        windows_BL = torch.full((len(lists), LONGEST + 1), self.model.absent)
        for row, items in zip(windows_BL, lists, strict=True):
            row[-len(items[-LONGEST:]) :] = torch.tensor(items[-LONGEST:])
        generator = torch.Generator().manual_seed(0)
        task = self.model.objective(windows_BL, ITEMS, generator)
        self.drawn = self.model.companions.draw(torch.arange(len(lists)), windows_BL, generator)
        self.items_BL = windows_BL[:, 1:]
        places = torch.nonzero(task.predicted_BL, as_tuple=True)
        self.batch = Predictions(task.inputs_BL, *places, task.targets_BL[places], companions=self.drawn)

    def loss(self, **weights):
        """Our loss with these weights of the terms; the weights that are not named are zero."""
        self.model.weights = TaskWeights(**dict.fromkeys(TERMS, 0.0) | weights)
        return self.model.loss(self.model.encode_items(), self.batch)

    @cached_property
    def answer(self):
        weights = pretraining(weights_of(self.model))
        # The last item of a left-padded sequence has RecBole's last position, and our first.
        weights[POSITION] = weights[POSITION][::-1]
        has_IA = np.zeros((ITEMS + 2, len(self.world.attributes.names)), np.float32)
        has_IA[tuple(part.numpy() for part in self.world.attributes.of(torch.arange(ITEMS)))] = 1
        question = {
            "masked": self.batch.inputs_BL.numpy(),
            "items": self.items_BL.numpy(),
            "negatives": self.drawn["negative_BL"].numpy(),
            **{name: self.drawn[f"{name}_BL"].numpy() for name in ("rest", "segment", "other")},
            "attributes": has_IA[self.items_BL.numpy()],
        }
        self._recbole.write_job(self.world.sequences)
        return self._recbole.ask("pretraining", question | under("weights", weights))


@pytest.fixture(scope="module")
def sides(tmp_path_factory, opted_in):
    return Comparison(tmp_path_factory.mktemp(VARIANT))


@pytest.mark.parametrize("term", TERMS)
def test_same_draws_give_the_same_terms(sides, term, differ):
    assert differ(sides.loss(**{term: 1.0}).detach(), sides.answer[f"loss/{term}_weight"]) < CLOSE


def test_same_draws_give_the_same_loss_and_gradients(sides, differ):
    loss = sides.loss(aap=0.2, mip=1.0, map=1.0, sp=0.5)
    names, weights = zip(*sides.model.named_parameters(), strict=True)
    gradients = pretraining(dict(zip(names, (x.numpy() for x in torch.autograd.grad(loss, weights)), strict=True)))

    assert differ(loss.detach(), sides.answer["loss/all"]) < CLOSE
    theirs = part(sides.answer, "gradients")
    theirs[POSITION] = theirs[POSITION][::-1]
    assert gradients.keys() == theirs.keys()
    for name, ours in gradients.items():
        assert differ(ours, theirs[name], scale_of(name, gradients)) < CLOSE, name
