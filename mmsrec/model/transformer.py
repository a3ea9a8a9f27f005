"""The transformer that both towers share: post-norm blocks with GELU, as in BERT."""

from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# On a CPU, products of fewer rows gain nothing from bfloat16: oneDNN makes code for each new shape, which takes longer.
REDUCED_ROWS = 1 << 12


class Dropout(nn.Module):
    """Inverted dropout; on a CPU the draws are single random bytes.

    torch draws one number an element there, which costs more than the matrix products around it. With bytes the
    probability is a multiple of 1/256 (0.2 becomes 0.1992); the scale follows it, so that the expectation is kept.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.dropped = round(probability * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.probability)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.dropped
        return x * (kept.to(x.dtype) * (256 / (256 - self.dropped)))


class Wanted(NamedTuple):
    """The items of sequences whose hidden states are asked for: the last block computes no others.

    Attributes:
        rows_P, columns_P: of each item, among sequences [B, L].
        first: no column is below it.
    """

    rows_P: Tensor
    columns_P: Tensor
    first: int = 0


def attention_mask(visible_BT: Tensor | None, tokens: int, causal: int, device: torch.device) -> Tensor | None:
    """Which keys each query may attend to, for sequences of `tokens` tokens.

    Args:
        visible_BT: tokens that any query may attend to; None when all are.
        tokens: T.
        causal: tokens of an item when a query sees its own item's and those before it; 0 when it sees all.
        device: of the result.

    Returns:
        A mask that broadcasts to [B, heads, T, T], or None for no restriction. Under `causal` a token always sees
        itself, so that no query is without a key.
    """
    keys_B11T = None if visible_BT is None else visible_BT[:, None, None, :]
    if not causal:
        return keys_B11T
    item_T = torch.arange(tokens, device=device) // causal
    earlier_TT = item_T[:, None] >= item_T[None, :]
    if keys_B11T is None:
        return earlier_TT
    return (earlier_TT & keys_B11T) | torch.eye(tokens, dtype=torch.bool, device=device)


class SelfAttention(nn.Module):
    """Multi-head self-attention, without the projection of its output."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(dim, 3 * dim)

    def forward(self, x_BTD: Tensor, mask: Tensor | None, first: int) -> Tensor:
        """Mixed values [B, T - first, D] of the tokens from `first` on."""
        batch, tokens, dim = x_BTD.shape
        if tokens == 1:
            # The softmax over one key is one, so the value itself is the result.
            return F.linear(x_BTD, self.inputs.weight[2 * dim :], self.inputs.bias[2 * dim :])
        if first:
            query_BTD = F.linear(x_BTD[:, first:], self.inputs.weight[:dim], self.inputs.bias[:dim])
            key_BTD, value_BTD = F.linear(x_BTD, self.inputs.weight[dim:], self.inputs.bias[dim:]).chunk(2, dim=-1)
            mask = mask[..., first:, :] if mask is not None and mask.shape[-2] > 1 else mask
        else:
            query_BTD, key_BTD, value_BTD = self.inputs(x_BTD).chunk(3, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, dim // self.heads)).transpose(1, 2)
            for part in (query_BTD, key_BTD, value_BTD)
        )
        # torch's attention for CPUs is many times slower backwards in bfloat16 than in float32.
        with torch.autocast(x_BTD.device.type, enabled=False) if x_BTD.device.type == "cpu" else nullcontext():
            query, key, value = (part.float() for part in (query, key, value))
            mixed_BHTd = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return mixed_BHTd.transpose(1, 2).reshape(batch, tokens - first, dim)


class Block(nn.Module):
    """Self-attention and a feed-forward network, each with dropout, a residual connection and then LayerNorm."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, heads)
        self.attention_output = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, feedforward)
        self.contract = nn.Linear(feedforward, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        """The tokens' next states [B, T, D]."""
        return self._after(x_BTD, self.attention(x_BTD, mask, 0))

    def at(self, x_BTD: Tensor, mask: Tensor | None, wanted: Wanted, per_item: int) -> Tensor:
        """The next states [P, per_item, D] of the wanted items, of `per_item` tokens each."""
        mixed_BLMD = self.attention(x_BTD, mask, wanted.first * per_item).unflatten(1, (-1, per_item))
        x_PMD = x_BTD.unflatten(1, (-1, per_item))[wanted.rows_P, wanted.columns_P]
        return self._after(x_PMD, mixed_BLMD[wanted.rows_P, wanted.columns_P - wanted.first])

    def _after(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention_output(mixed)))
        return self.feedforward_norm(x + self.dropout(self.contract(F.gelu(self.expand(x)))))


class Transformer(nn.Module):
    """A stack of blocks over token embeddings [B, T, D], under a mask as of `attention_mask`."""

    def __init__(self, dim: int, layers: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, feedforward, dropout) for _ in range(layers))

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states [B, T, D] of all tokens."""
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return x_BTD

    def at(self, x_BTD: Tensor, mask: Tensor | None, wanted: Wanted, per_item: int = 1) -> Tensor:
        """Hidden states [P, per_item, D] of the wanted items, of `per_item` tokens each."""
        for block in self.blocks[:-1]:
            x_BTD = block(x_BTD, mask)
        return self.blocks[-1].at(x_BTD, mask, wanted, per_item)


def reduced_precision(precision: torch.dtype, device: torch.device, rows: int) -> torch.autocast:
    """Matrix products of `rows` rows in `precision` within this context, where that pays; all else stays in float32."""
    enabled = precision != torch.float32 and (device.type != "cpu" or rows >= REDUCED_ROWS)
    return torch.autocast(device.type, precision, enabled=enabled)


def initialise(module: nn.Module) -> None:
    """Weights of linear layers and embeddings from a normal distribution of deviation 0.02, as in BERT; biases zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's parameters and buffers."""
    return next(iter([*module.parameters(), *module.buffers()])).device
