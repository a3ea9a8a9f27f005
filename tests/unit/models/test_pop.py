import torch

from mmsrec.models.pop import Pop
from mmsrec.models.pop_settings import PopSettings
from mmsrec.models.recommender import ModelInputs
from tests.unit.models.examples import TRAINER
from tests.unit.nn.test_user_sequences import make


def test_counts_training_actions_only():
    sequences = make([0, 1, 2, 3], [0, 2, 1])
    model = Pop(ModelInputs(5, {}), PopSettings(), TRAINER)
    model.fit(sequences, sequences.ends(2))
    assert model.counts.tolist() == [2, 1, 0, 0, 0]
    assert model.scores(torch.tensor([[4], [2]])).tolist() == [[2, 1, 0, 0, 0]] * 2
