import pytest
import torch
from torch.nn import functional as F

from mmsrec.nn import transformer
from mmsrec.nn.attention_mask import attention_mask
from mmsrec.nn.transformer import Block, SelfAttention, Transformer


def slow_attention(attention, x, visible):
    """Head by head, query by query; `visible` [B, T, T] are the keys of each query."""
    dim = x.shape[-1]
    width = dim // attention.heads
    query, key, value = attention.inputs(x).split(dim, dim=-1)
    out = torch.zeros_like(x)
    for row in range(len(x)):
        for head in range(attention.heads):
            part = slice(head * width, (head + 1) * width)
            for token in range(x.shape[1]):
                seen = visible[row, token].nonzero().flatten()
                logits = key[row, seen, part] @ query[row, token, part] / width**0.5
                out[row, token, part] = F.softmax(logits, dim=0) @ value[row, seen, part]
    return out


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("per_item", [0, 1, 2])
@pytest.mark.parametrize("tokens", [1, 6])
def test_attention_equals_a_sum_head_by_head(tokens, per_item, hidden):
    torch.manual_seed(0)
    attention, x = SelfAttention(12, 3), torch.randn(4, tokens, 12)
    shown = torch.rand(4, tokens) < 0.7 if hidden else torch.ones(4, tokens, dtype=torch.bool)
    shown[:, 0] = True
    visible = shown[:, None, :].expand(-1, tokens, -1).clone()
    if per_item:
        for query in range(tokens):
            visible[:, query, (query // per_item + 1) * per_item :] = False
            visible[:, query, query] |= hidden
    mask = attention_mask(shown if hidden else None, tokens, per_item, x.device)
    expected = slow_attention(attention, x, visible)
    torch.testing.assert_close(attention(x, mask), expected)


@pytest.mark.parametrize("per_item", [0, 1])
@pytest.mark.parametrize("hidden", [False, True])
def test_attention_in_parts_equals_attention_at_once(monkeypatch, per_item, hidden):
    torch.manual_seed(0)
    attention, x = SelfAttention(12, 3), torch.randn(7, 4, 12)
    mask = attention_mask(torch.rand(7, 4) < 0.7 if hidden else None, 4, per_item, x.device)
    expected = attention(x, mask)
    monkeypatch.setattr(transformer, "MAX_SEQUENCES", 3)
    torch.testing.assert_close(attention(x, mask), expected, equal_nan=True)


def test_hidden_tokens_do_not_reach_other_tokens():
    torch.manual_seed(0)
    network = Transformer(8, 2, 2, 16, 0.5).eval()
    x = torch.randn(1, 4, 8)
    mask = attention_mask(torch.tensor([[False, True, True, True]]), 4, 0, x.device)
    other = x.clone()
    other[0, 0] = 100
    torch.testing.assert_close(network(x, mask)[:, 1:], network(other, mask)[:, 1:])


def test_later_items_do_not_reach_earlier_ones():
    torch.manual_seed(0)
    network = Transformer(8, 2, 2, 16, 0.5).eval()
    x = torch.randn(1, 6, 8)
    mask = attention_mask(None, 6, 2, x.device)
    other = x.clone()
    other[0, 4:] = 100
    torch.testing.assert_close(network(x, mask)[:, :4], network(other, mask)[:, :4])
    other[0, 1] = 100  # the second token of the first item reaches its first
    assert not torch.allclose(network(x, mask)[:, 0], network(other, mask)[:, 0])


def test_a_block_is_post_norm():
    torch.manual_seed(0)
    block, x = Block(8, 2, 16, 0.5).eval(), torch.randn(2, 3, 8)
    mixed = block.attention_norm(x + block.attention_output(block.attention(x, None)))
    expected = block.feedforward_norm(mixed + block.contract(F.gelu(block.expand(mixed))))
    torch.testing.assert_close(block(x, None), expected)
