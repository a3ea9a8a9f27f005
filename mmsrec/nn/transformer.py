"""The transformer that both towers share: post-norm blocks with GELU, as in BERT."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.nn.packing import Packing

# On a CPU, products of fewer rows gain nothing from bfloat16: oneDNN makes code for each new shape, which takes longer.
REDUCED_ROWS = 1024
# torch's attention for GPUs refuses more.
ATTENDING = (1 << 16) - 1


class _Draws(threading.local):
    """What a thread's dropout draws from on a CPU; None for torch's own generator, which all threads share."""

    generator: torch.Generator | None = None


_draws = _Draws()


@contextmanager
def dropout_draws_from(generator: torch.Generator) -> Iterator[None]:
    """Within it this thread's dropout on a CPU draws from a generator of its own."""
    before, _draws.generator = _draws.generator, generator
    try:
        yield
    finally:
        _draws.generator = before


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
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64)
        words.random_(-(2**63), None, generator=_draws.generator)
        # Compared in place, because torch is many times slower at making booleans of bytes, and numbers of booleans.
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape).ge_(self.dropped)
        return x * kept.to(x.dtype).mul_(256 / (256 - self.dropped))


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

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        """Mixed values [B, T, D] of sequences."""
        if x_BTD.shape[1] == 1:
            # The softmax over one key is one, so the value itself is the result.
            dim = x_BTD.shape[2]
            return F.linear(x_BTD, self.inputs.weight[2 * dim :], self.inputs.bias[2 * dim :])
        return self._mixed(*self.inputs(x_BTD).chunk(3, dim=-1), mask)

    def packed(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """Mixed values [B, L, M, D] of the places, given rows of M tokens."""
        parts = (part.flatten(1, 2) for part in packing.unpack(self.inputs(x_NMD)).chunk(3, dim=-1))
        return self._mixed(*parts, mask).unflatten(1, (packing.shape[1], -1))

    def wanted(self, x_NMD: Tensor, x_WMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """Mixed values [W, M, D] of the wanted rows x_WMD."""
        if packing.grid is None:
            return packing.wanted_of_places(self.packed(x_NMD, mask, packing))
        dim, weight, bias = x_NMD.shape[2], self.inputs.weight, self.inputs.bias
        query_BQMD = packing.grid.cells(F.linear(x_WMD, weight[:dim], bias[:dim]))
        key_BLMD, value_BLMD = packing.unpack(F.linear(x_NMD, weight[dim:], bias[dim:])).chunk(2, dim=-1)
        parts = (part.flatten(1, 2) for part in (query_BQMD, key_BLMD, value_BLMD))
        mixed_BTD = self._mixed(*parts, packing.grid.mask(mask, x_NMD.shape[1]))
        return packing.grid.wanted(mixed_BTD.unflatten(1, query_BQMD.shape[1:3]))

    def _mixed(self, query_BTD: Tensor, key_BTD: Tensor, value_BTD: Tensor, mask: Tensor | None) -> Tensor:
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query_BTD, key_BTD, value_BTD))
        on_cpu = query_BTD.device.type == "cpu"
        # torch's attention for CPUs is many times slower backwards in bfloat16 than in float32.
        with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
            if on_cpu and torch.is_grad_enabled():
                parts = (part.float() for part in parts)
            mixed_BHTd = _attend(*parts, mask)
        return mixed_BHTd.transpose(1, 2).flatten(2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    if len(query) <= ATTENDING:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    shared = mask is None or mask.dim() < query.dim() or len(mask) == 1
    masks = itertools.repeat(mask) if shared else mask.split(ATTENDING)
    parts = zip(*(part.split(ATTENDING) for part in (query, key, value)), masks, strict=False)
    return torch.cat([F.scaled_dot_product_attention(*part, attn_mask=own) for *part, own in parts])


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
        return self._after(x_BTD, self.attention(x_BTD, mask))

    def packed(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """The next states [N, M, D] of rows of M tokens."""
        return self._after(x_NMD, packing.pack(self.attention.packed(x_NMD, mask, packing)))

    def wanted(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """The next states [W, M, D] of the wanted rows."""
        x_WMD = packing.wanted_of_rows(x_NMD)
        return self._after(x_WMD, self.attention.wanted(x_NMD, x_WMD, mask, packing))

    def _after(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention_output(mixed)))
        return self.feedforward_norm(x + self.dropout(self.contract(F.gelu(self.expand(x)))))


class Transformer(nn.Module):
    """A stack of blocks over token embeddings, under a mask as of `attention_mask`."""

    def __init__(self, dim: int, layers: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, feedforward, dropout) for _ in range(layers))

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states [B, T, D] of all tokens of sequences."""
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return x_BTD

    def wanted(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """Hidden states [W, M, D] of the wanted rows, of M tokens each: the last block computes no others."""
        for block in self.blocks[:-1]:
            x_NMD = block.packed(x_NMD, mask, packing)
        return self.blocks[-1].wanted(x_NMD, mask, packing)


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
