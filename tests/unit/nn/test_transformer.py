import pytest
import torch
from torch.nn import functional as F

from mmsrec.nn import transformer
from mmsrec.nn.attention_mask import attention_mask
from mmsrec.nn.dropout import dropout_draws_from
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


def kept_weights(attention, x, mask, seed):
    """The weights of attention after dropout, head by head, with the draws of a generator."""
    width = x.shape[-1] // attention.heads
    query, key, _ = attention.inputs(x).split(x.shape[-1], dim=-1)
    weights = torch.stack(
        [
            (query[..., part] @ key[..., part].transpose(1, 2) / width**0.5).masked_fill(~mask, -torch.inf).softmax(-1)
            for part in (slice(head * width, (head + 1) * width) for head in range(attention.heads))
        ],
        dim=1,
    )
    with dropout_draws_from(torch.Generator().manual_seed(seed)):
        return attention.dropout(weights)


@pytest.mark.parametrize("tokens", [1, 6])
def test_weights_of_attention_are_dropped_in_training(tokens):
    torch.manual_seed(0)
    attention, x = SelfAttention(12, 3, 0.5).train(), torch.randn(4, tokens, 12)
    mask = attention_mask(None, tokens, 1, x.device)
    weights = kept_weights(attention, x, mask, 9)
    assert (weights == 0).any()
    value = attention.inputs(x).split(12, dim=-1)[2].unflatten(-1, (3, -1)).transpose(1, 2)
    with dropout_draws_from(torch.Generator().manual_seed(9)):
        mixed = attention(x, mask)
    torch.testing.assert_close(mixed, (weights @ value).transpose(1, 2).flatten(2))


def test_the_mean_over_many_draws_is_attention_without_dropout():
    torch.manual_seed(0)
    attention, x = SelfAttention(12, 3, 0.2), torch.randn(1, 5, 12)
    expected = attention.eval()(x, None)
    many = attention.train()(x.expand(4000, -1, -1), None).mean(0, keepdim=True)
    torch.testing.assert_close(many, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(("dropout", "training"), [(0.0, True), (0.5, False)])
def test_without_dropout_the_fast_kernel_computes(monkeypatch, dropout, training):
    monkeypatch.delattr(SelfAttention, "_with_dropout")
    attention = SelfAttention(12, 3, dropout).train(training)
    attention(torch.randn(2, 4, 12), None)


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


def test_the_inner_states_of_a_feedforward_network_are_dropped_in_training():
    torch.manual_seed(0)
    block, x = Block(8, 2, 16, 0.0, feedforward_dropout=0.5).train(), torch.randn(2, 3, 8)
    mixed = block.attention_norm(x + block.attention_output(block.attention(x, None)))
    with dropout_draws_from(torch.Generator().manual_seed(9)):
        inner = block.feedforward_dropout(F.gelu(block.expand(mixed)))
    assert (inner == 0).any()
    with dropout_draws_from(torch.Generator().manual_seed(9)):
        found = block(x, None)
    torch.testing.assert_close(found, block.feedforward_norm(mixed + block.contract(inner)))


def test_a_final_norm_follows_the_last_block():
    torch.manual_seed(0)
    network, plain = (Transformer(8, 2, 2, 16, 0.5, final_norm=final).eval() for final in (True, False))
    plain.load_state_dict({name: value for name, value in network.state_dict().items() if "final_norm" not in name})
    torch.nn.init.normal_(network.final_norm.weight)
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(network(x), network.final_norm(plain(x)))


def test_a_block_is_post_norm():
    torch.manual_seed(0)
    block, x = Block(8, 2, 16, 0.5).eval(), torch.randn(2, 3, 8)
    mixed = block.attention_norm(x + block.attention_output(block.attention(x, None)))
    expected = block.feedforward_norm(mixed + block.contract(F.gelu(block.expand(mixed))))
    torch.testing.assert_close(block(x, None), expected)
