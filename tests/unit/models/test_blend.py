import pytest
import torch

from mmsrec.evaluation.user_vectors import user_vectors
from mmsrec.models.blend import Blend
from mmsrec.models.content import Content
from mmsrec.models.content_settings import ContentSettings
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import ENCODED_TOGETHER
from mmsrec.models.sasrec import SASRec
from tests.unit.models.examples import MMSREC, SASREC, TRAINER, changed, text_inputs
from tests.unit.training.examples import walks

ITEMS = 12
WEIGHTS = torch.tensor([0.7, 3.0, -0.5])


@pytest.fixture
def blend():
    """Parts that read histories of different lengths, by ids and by features."""
    torch.manual_seed(0)
    inputs, sequences = text_inputs(torch.randn(ITEMS, 8)), walks()
    content = Content(inputs, ContentSettings(last=2), TRAINER)
    content.fit(sequences, sequences.ends(2))
    longer = changed(TRAINER, max_length=9)
    made = Blend([SASRec(inputs, SASREC, TRAINER), MMSRec(inputs, MMSREC, longer), content])
    made.weights_P.copy_(WEIGHTS)
    return made.eval()


def weighted(blend, histories_BL):
    return sum(weight * part.scores(histories_BL) for weight, part in zip(WEIGHTS, blend.parts, strict=True))


def test_a_score_is_the_weighted_sum_of_the_scores_of_the_parts(blend):
    histories_BL = torch.tensor([[blend.absent] * 8 + [3], [blend.absent, 1, 2, 3, 4, 5, 6, 7, 8], [*range(1, 10)]])
    torch.testing.assert_close(blend.scores(histories_BL), weighted(blend, histories_BL))
    assert blend.longest_history == 8


def test_an_item_of_the_history_has_the_score_of_repeats_once(blend):
    histories_BL = torch.tensor([[blend.absent, 4, 4], [0, 4, 11]])
    expected = weighted(blend, histories_BL)
    expected[0, 4] -= 2.5
    expected[1, [0, 4, 11]] -= 2.5
    blend.repeat.fill_(-2.5)
    torch.testing.assert_close(blend.scores(histories_BL), expected)


def test_users_of_different_lengths_have_the_scores_that_they_have_alone(blend):
    sequences = walks()
    ends_U = sequences.ends(1)
    items = blend.encode_all_items()
    scores_UI = user_vectors(blend, items, sequences, ends_U) @ items.vectors_KD.T
    for user in range(sequences.users):
        history = sequences.items_A[sequences.offsets_U1[user] : ends_U[user]]
        torch.testing.assert_close(scores_UI[user], weighted(blend, history[None])[0], rtol=1e-4, atol=1e-4)


def test_items_are_encoded_alike_in_parts_and_together(blend, monkeypatch):
    together = blend.encode_all_items().vectors_KD
    monkeypatch.setitem(ENCODED_TOGETHER, "cpu", 5)
    torch.testing.assert_close(blend.encode_all_items().vectors_KD, together)
    some_K = torch.tensor([2, 7])
    torch.testing.assert_close(blend.encode_items(some_K).vectors_KD, together[some_K])


def test_the_rows_of_items_are_those_of_the_parts(blend):
    assert blend.item_rows == {"parts.0.item.weight", "parts.1.item_embedding.weight"}
    assert blend.item_rows & blend.state_dict().keys() == {"parts.0.item.weight"}
