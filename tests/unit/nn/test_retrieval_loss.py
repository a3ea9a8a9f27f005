import pytest
import torch
from torch.nn import functional as F

from mmsrec.nn.predictions import Negatives, Predictions
from mmsrec.nn.retrieval_loss import retrieval_loss

ITEMS, WIDTH = 9, 4
TARGETS = torch.tensor([1, 5, 8])
EVERYTHING = Negatives(torch.arange(ITEMS), torch.zeros(ITEMS))


def vectors():
    random = torch.Generator().manual_seed(0)
    return [torch.randn(rows, WIDTH, generator=random).requires_grad_() for rows in (len(TARGETS), ITEMS)]


def asked(**parts):
    nowhere = torch.zeros(len(TARGETS), dtype=torch.long)
    return Predictions(torch.zeros(1, 1, dtype=torch.long), nowhere, nowhere, TARGETS, **parts)


@pytest.mark.parametrize("negatives", [None, EVERYTHING])
def test_a_prior_is_added_to_the_logits(negatives):
    prior = 3 * torch.arange(ITEMS).float().log1p()
    queries, items = vectors()
    loss = retrieval_loss(queries, items, asked(negatives=negatives, prior_K=prior), torch.float32)
    loss.backward()

    other_queries, other_items = vectors()
    expected = F.cross_entropy(other_queries @ other_items.T + prior, TARGETS, reduction="sum")
    expected.backward()

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(queries.grad, other_queries.grad)
    torch.testing.assert_close(items.grad, other_items.grad)


def test_without_a_prior_the_logits_are_the_products():
    queries, items = vectors()
    expected = F.cross_entropy(queries @ items.T, TARGETS, reduction="sum")
    torch.testing.assert_close(retrieval_loss(queries, items, asked(), torch.float32), expected)
