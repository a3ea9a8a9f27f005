"""The in-batch loss against sums of single exponentials."""

import math

import torch
from torch.nn import functional as F

from mmsrec.nn.batch_loss import batch_cross_entropy

TEMPERATURE = 0.07


def slow(queries, keys, targets):
    """-log(exp(own) / (exp(own) + other exponentials)), where a key of the same target counts as exp(0)."""
    total = 0.0
    for row, query in enumerate(queries):
        logits = [float(query @ key) / TEMPERATURE for key in keys]
        summed = sum(
            math.exp(logit if other == row or targets[other] != targets[row] else 0.0)
            for other, logit in enumerate(logits)
        )
        total -= math.log(math.exp(logits[row]) / summed)
    return total


def example(targets):
    torch.manual_seed(0)
    shape = (len(targets), 5)
    return F.normalize(torch.randn(shape), dim=1), F.normalize(torch.randn(shape), dim=1), torch.tensor(targets)


def test_the_loss_equals_the_plain_sum():
    for targets in ([1, 2, 3, 4], [7, 7, 1, 7, 2], [3, 3], [5]):
        queries, keys, targets = example(targets)
        found = batch_cross_entropy(queries.double(), keys.double(), targets, TEMPERATURE)
        assert math.isclose(found.item(), slow(queries, keys, targets.tolist()), rel_tol=1e-6, abs_tol=1e-9)


def test_a_key_of_the_same_target_gets_no_gradient_from_another_query():
    queries, keys, targets = example([7, 7, 1])
    keys.requires_grad_()
    rows = [batch_cross_entropy(queries[order], keys[order], targets[order], TEMPERATURE) for order in ([0, 2], [0, 1])]
    assert torch.autograd.grad(rows[0], keys, retain_graph=True)[0][2].abs().max() > 0
    gradient = torch.autograd.grad(rows[1], keys)[0]
    one, other = (queries[row] / TEMPERATURE for row in (0, 1))
    # Each of the two keys is pulled by its own query alone.
    for key, query in ((0, one), (1, other)):
        assert torch.allclose(F.normalize(gradient[key], dim=0), -F.normalize(query, dim=0), atol=1e-5)
