import pytest
import torch
from torch.nn import functional as F

from mmsrec.model.transformer import Dropout, SelfAttention, Transformer


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


def test_dropout_does_nothing_in_evaluation_or_at_zero():
    x = torch.randn(10)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)


def slow_attention(attention, x, visible):
    """Head by head, query by query."""
    dim = x.shape[-1]
    width = dim // attention.heads
    query, key, value = attention.inputs(x).split(dim, dim=-1)
    out = torch.zeros_like(x)
    for row in range(len(x)):
        seen = visible[row].nonzero().flatten()
        for head in range(attention.heads):
            part = slice(head * width, (head + 1) * width)
            for token in range(x.shape[1]):
                logits = key[row, seen, part] @ query[row, token, part] / width**0.5
                out[row, token, part] = F.softmax(logits, dim=0) @ value[row, seen, part]
    return attention.output(out)


@pytest.mark.parametrize("tokens", [1, 5])
def test_attention_equals_the_plain_sum(tokens):
    torch.manual_seed(0)
    attention, x = SelfAttention(12, 3), torch.randn(4, tokens, 12)
    visible = torch.rand(4, tokens) < 0.7
    visible[:, 0] = True
    torch.testing.assert_close(attention(x, visible), slow_attention(attention, x, visible))
    torch.testing.assert_close(attention(x, None), slow_attention(attention, x, torch.ones(4, tokens, dtype=bool)))


def test_hidden_tokens_do_not_reach_the_others():
    torch.manual_seed(0)
    network = Transformer(8, 2, 2, 16, 0.5).eval()
    x, visible = torch.randn(1, 4, 8), torch.tensor([[False, True, True, True]])
    other = x.clone()
    other[0, 0] = 100
    torch.testing.assert_close(network(x, visible)[:, 1:], network(other, visible)[:, 1:])
