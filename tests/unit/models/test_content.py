import numpy as np
import pytest
import torch

from mmsrec.models.content import Content
from mmsrec.models.content_settings import ContentSettings
from mmsrec.models.recommender import Features, ModelInputs
from tests.unit.models.examples import TRAINER
from tests.unit.training.examples import walks

ITEMS = 12
LAST = 3


def model(*, absent: int | None = None) -> Content:
    """Two modalities of random features; one item may lack its text."""
    generator = torch.Generator().manual_seed(0)
    present = torch.ones(ITEMS, dtype=torch.bool)
    lacking = present.clone()
    if absent is not None:
        lacking[absent] = False
    features = {
        "vision": Features(torch.randn(ITEMS, 4, generator=generator), present),
        "text": Features(torch.randn(ITEMS, 6, generator=generator), lacking),
    }
    made = Content(ModelInputs(ITEMS, features), ContentSettings(last=LAST), TRAINER)
    sequences = walks()
    made.fit(sequences, sequences.ends(2))
    return made.eval()


def whitened(feature: Features) -> np.ndarray:
    """Rows of zero mean and unit covariance, with the ridge of the module, by plain numpy."""
    vectors, present = feature.vectors_IF.double().numpy(), feature.present_I.numpy()
    mean = vectors[present].mean(0)
    variances, directions = np.linalg.eigh(np.cov(vectors[present].T, bias=True))
    matrix = directions @ np.diag((variances + 1e-3 * variances[-1]) ** -0.5) @ directions.T
    return (vectors - mean) @ matrix


@pytest.mark.parametrize("absent", [None, 5])
@pytest.mark.parametrize("history", [[2], [7, 5], [1, 4, 5, 9], [11, 10, 9, 8, 7, 6]])
def test_a_score_is_the_sum_of_cosines_with_the_mean_of_the_latest_items(history, absent):
    made = model(absent=absent)
    expected = np.zeros(ITEMS)
    for feature in made.features.values():
        rows = whitened(feature)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True) * feature.present_I.numpy()[:, None]
        expected += unit @ unit[history[-LAST:]].mean(0)
    padded = torch.tensor([[made.absent] * 2 + history])

    assert made.scores(padded)[0].numpy() == pytest.approx(expected, abs=1e-5)


def test_a_user_without_items_has_no_preference():
    made = model()

    assert not made.scores(torch.tensor([[made.absent, made.absent]])).any()


def test_items_are_encoded_alike_in_parts_and_together():
    made = model(absent=5)

    some = torch.tensor([3, 5, 11])
    torch.testing.assert_close(made.encode_items(some).vectors_KD, made.encode_items().vectors_KD[some])
