from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from mmsrec.nn.dropout import Dropout, dropout_draws_from


def test_dropout_keeps_the_expectation_and_its_share():
    torch.manual_seed(0)
    x = torch.full((1000, 999), 3.0)
    for probability in (0.2, 0.5):
        out = Dropout(probability)(x)
        assert (out == 0).float().mean() == pytest.approx(probability, abs=0.003)
        assert out.mean() == pytest.approx(3.0, abs=0.02)


def test_dropout_follows_the_seed_and_scales_gradients_alike():
    x = torch.ones(50, requires_grad=True)
    torch.manual_seed(1)
    first = Dropout(0.5)(x)
    torch.manual_seed(1)
    assert torch.equal(first, Dropout(0.5)(x))
    first.sum().backward()
    assert torch.equal(x.grad, first.detach())


def test_a_thread_draws_from_its_generator_inside_the_context_alone():
    x, dropout = torch.ones(50), Dropout(0.5)
    torch.manual_seed(1)
    expected = dropout(x)
    torch.manual_seed(2)
    with dropout_draws_from(torch.Generator().manual_seed(1)):
        assert torch.equal(dropout(x), expected)
        with ThreadPoolExecutor(1) as pool:
            assert not torch.equal(pool.submit(dropout, x).result(), expected)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), expected)


def test_dropout_does_nothing_in_evaluation_or_at_zero():
    x = torch.randn(10)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
