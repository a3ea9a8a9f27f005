import math

import pytest
import torch

from mmsrec.nn.pair_loss import pair_loss


def slow_pair_loss(one, other, temperature):
    """Vector by vector: the partner against all vectors of the batch but the vector itself."""
    vectors, total = [*one, *other], 0.0
    for own, vector in enumerate(vectors):
        logits = [float(vector @ each) / temperature for each in vectors]
        partner = (own + len(one)) % len(vectors)
        others = [math.exp(logit) for index, logit in enumerate(logits) if index != own]
        total += math.log(sum(others)) - logits[partner]
    return total / len(vectors)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_the_loss_equals_a_sum_vector_by_vector(pairs, temperature):
    torch.manual_seed(0)
    one, other = torch.randn(pairs, 4), torch.randn(pairs, 4)
    expected = slow_pair_loss(one, other, temperature)
    assert float(pair_loss(one, other, temperature)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_vectors_are_not_normalised():
    torch.manual_seed(0)
    one, other = torch.randn(3, 4), torch.randn(3, 4)
    assert not torch.isclose(pair_loss(one, other, 1.0), pair_loss(2 * one, other, 1.0))


def test_the_gradient_is_finite_and_reaches_both_sides():
    one, other = (torch.randn(3, 4, requires_grad=True) for _ in range(2))
    for gradient in torch.autograd.grad(pair_loss(one, other, 1.0), (one, other)):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
