"""The transformer of all models: post-norm blocks with GELU, as in BERT."""

import itertools
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.models.transformer_settings import TransformerSettings
from mmsrec.nn.dropout import Dropout
from mmsrec.nn.packing import Packing

# torch's attention kernels for GPUs take at most this many sequences.
MAX_SEQUENCES = (1 << 16) - 1


class SelfAttention(nn.Module):
    """Multi-head self-attention, without the output projection.

    Args:
        dim: width D.
        heads: attention heads; they divide `dim`.
        dropout: probability that a weight of attention becomes zero in training.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(dim, 3 * dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        """Mixed values [B, T, D] of sequences."""
        if x_BTD.shape[1] == 1 and not self.dropout.active:
            # The softmax over one key is 1, so the result is the value.
            dim = x_BTD.shape[2]
            return F.linear(x_BTD, self.inputs.weight[2 * dim :], self.inputs.bias[2 * dim :])
        return self._mixed(*self.inputs(x_BTD).chunk(3, dim=-1), mask)

    def packed(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """Mixed values [B, L, M, D] of the places, from packed rows of M tokens."""
        parts = (part.flatten(1, 2) for part in packing.unpack(self.inputs(x_NMD)).chunk(3, dim=-1))
        return self._mixed(*parts, mask).unflatten(1, (packing.shape[1], -1))

    def predicted(self, x_NMD: Tensor, x_RMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """Mixed values [R, M, D] of the predicted rows x_RMD, whose keys and values are the packed rows x_NMD."""
        if packing.grid is None:
            return packing.predicted_from_places(self.packed(x_NMD, mask, packing))
        dim, weight, bias = x_NMD.shape[2], self.inputs.weight, self.inputs.bias
        query_BQMD = packing.grid.cells(F.linear(x_RMD, weight[:dim], bias[:dim]))
        key_BLMD, value_BLMD = packing.unpack(F.linear(x_NMD, weight[dim:], bias[dim:])).chunk(2, dim=-1)
        parts = (part.flatten(1, 2) for part in (query_BQMD, key_BLMD, value_BLMD))
        mixed_BTD = self._mixed(*parts, packing.grid.mask(mask, x_NMD.shape[1]))
        return packing.grid.predicted(mixed_BTD.unflatten(1, query_BQMD.shape[1:3]))

    def _mixed(self, query_BTD: Tensor, key_BTD: Tensor, value_BTD: Tensor, mask: Tensor | None) -> Tensor:
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query_BTD, key_BTD, value_BTD))
        on_cpu = query_BTD.device.type == "cpu"
        # On a CPU, torch's attention is many times slower backwards in bfloat16 than in float32.
        with torch.autocast("cpu", enabled=False) if on_cpu else nullcontext():
            if on_cpu and torch.is_grad_enabled():
                parts = (part.float() for part in parts)
            if on_cpu and self.dropout.active:
                mixed_BHTd = self._with_dropout(*parts, mask)
            else:
                mixed_BHTd = _attend(*parts, mask, self.dropout.probability if self.dropout.active else 0.0)
        return mixed_BHTd.transpose(1, 2).flatten(2)

    def _with_dropout(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """Attention whose weights are dropped by this thread's generator, which torch's attention does not read."""
        logits_BHTT = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
        if mask is not None:
            logits_BHTT = logits_BHTT.masked_fill(~mask, -torch.inf)
        return self.dropout(logits_BHTT.softmax(-1)) @ value


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Attention in parts of at most MAX_SEQUENCES sequences."""
    if len(query) <= MAX_SEQUENCES:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    shared = mask is None or mask.dim() < query.dim() or len(mask) == 1
    masks = itertools.repeat(mask) if shared else mask.split(MAX_SEQUENCES)
    parts = zip(*(part.split(MAX_SEQUENCES) for part in (query, key, value)), masks, strict=False)
    return torch.cat([F.scaled_dot_product_attention(*part, attn_mask=own, dropout_p=dropout) for *part, own in parts])


class Block(nn.Module):
    """Self-attention and a feed-forward network, each with dropout, a residual connection and then LayerNorm."""

    def __init__(
        self,
        dim: int,
        heads: int,
        feedforward: int,
        dropout: float,
        eps: float = 1e-5,
        attention_dropout: float = 0.0,
        feedforward_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, heads, attention_dropout)
        self.attention_output = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps)
        self.expand = nn.Linear(dim, feedforward)
        self.contract = nn.Linear(feedforward, dim)
        self.feedforward_norm = nn.LayerNorm(dim, eps)
        self.dropout = Dropout(dropout)
        self.feedforward_dropout = Dropout(feedforward_dropout)

    def forward(self, x_BTD: Tensor, mask: Tensor | None) -> Tensor:
        """The next states [B, T, D] of all tokens."""
        return self._after_attention(x_BTD, self.attention(x_BTD, mask))

    def packed(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """The next states [N, M, D] of packed rows of M tokens."""
        return self._after_attention(x_NMD, packing.pack(self.attention.packed(x_NMD, mask, packing)))

    def predicted(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """The next states [R, M, D] of the predicted rows."""
        x_RMD = packing.predicted_from_rows(x_NMD)
        return self._after_attention(x_RMD, self.attention.predicted(x_NMD, x_RMD, mask, packing))

    def _after_attention(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention_output(mixed)))
        inner = self.feedforward_dropout(F.gelu(self.expand(x)))
        return self.feedforward_norm(x + self.dropout(self.contract(inner)))


class Transformer(nn.Module):
    """A stack of blocks over token embeddings.

    Args:
        dim: width D.
        layers: number of blocks.
        heads: attention heads; they divide `dim`.
        feedforward: hidden width of the feed-forward networks.
        dropout: probability, after attention and after the feed-forward network.
        eps: added to the variance in every LayerNorm.
        attention_dropout: probability, of the weights of attention.
        feedforward_dropout: probability, within the feed-forward networks.
        final_norm: one more LayerNorm follows the last block.
    """

    def __init__(
        self,
        dim: int,
        layers: int,
        heads: int,
        feedforward: int,
        dropout: float,
        *,
        eps: float = 1e-5,
        attention_dropout: float = 0.0,
        feedforward_dropout: float = 0.0,
        final_norm: bool = False,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim, heads, feedforward, dropout, eps, attention_dropout, feedforward_dropout) for _ in range(layers)
        )
        self.final_norm = nn.LayerNorm(dim, eps) if final_norm else None

    @classmethod
    def of(cls, settings: TransformerSettings, *, eps: float = 1e-5, final_norm: bool = False) -> "Transformer":
        """A stack with the sizes and dropouts of a model's settings."""
        sizes = (settings.dim, settings.layers, settings.heads, settings.feedforward, settings.hidden_dropout)
        return cls(
            *sizes,
            eps=eps,
            attention_dropout=settings.attention_dropout,
            feedforward_dropout=settings.feedforward_dropout,
            final_norm=final_norm,
        )

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states [B, T, D] of all tokens, under a mask from `attention_mask`."""
        for block in self.blocks:
            x_BTD = block(x_BTD, mask)
        return self._normed(x_BTD)

    def predicted(self, x_NMD: Tensor, mask: Tensor | None, packing: Packing) -> Tensor:
        """Hidden states [R, M, D] of the predicted rows, M tokens each; the last block computes no other rows."""
        for block in self.blocks[:-1]:
            x_NMD = block.packed(x_NMD, mask, packing)
        return self._normed(self.blocks[-1].predicted(x_NMD, mask, packing))

    def _normed(self, x: Tensor) -> Tensor:
        return x if self.final_norm is None else self.final_norm(x)


def initialise(module: nn.Module) -> None:
    """Draws weights of linear layers and embeddings from N(0, 0.02), as in BERT; biases become zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)


def start_attention_equal(transformer: Transformer) -> None:
    """Draws the first block's attention inputs from Xavier's uniform distribution, and copies them to all blocks.

    torch's encoder starts so: its layers are copies of one layer.
    """
    first, *others = (block.attention.inputs.weight for block in transformer.blocks)
    nn.init.xavier_uniform_(first)
    with torch.no_grad():
        for weight in others:
            weight.copy_(first)


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's parameters and buffers."""
    return next(iter([*module.parameters(), *module.buffers()])).device
