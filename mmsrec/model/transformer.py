"""The transformer that both towers share: post-norm blocks with GELU, as in BERT."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Multi-head self-attention, bidirectional."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, visible_BT: Tensor | None) -> Tensor:
        batch, tokens, dim = x_BTD.shape
        if tokens == 1:
            # The softmax over one key is one, so the value itself is the result.
            return self.output(F.linear(x_BTD, self.inputs.weight[2 * dim :], self.inputs.bias[2 * dim :]))
        query, key, value = self.inputs(x_BTD).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if visible_BT is None else visible_BT[:, None, None, :]
        mixed_BHTd = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.output(mixed_BHTd.transpose(1, 2).reshape(batch, tokens, dim))


class Block(nn.Module):
    """Self-attention and a feed-forward network, each with dropout, a residual connection and then LayerNorm."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, heads)
        self.attention_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, feedforward)
        self.contract = nn.Linear(feedforward, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor, visible_BT: Tensor | None) -> Tensor:
        x_BTD = self.attention_norm(x_BTD + self.dropout(self.attention(x_BTD, visible_BT)))
        return self.feedforward_norm(x_BTD + self.dropout(self.contract(F.gelu(self.expand(x_BTD)))))


class Transformer(nn.Module):
    """A stack of blocks.

    Args of `forward`:
        x_BTD: token embeddings.
        visible_BT: which tokens may be attended to; None when all may.
    """

    def __init__(self, dim: int, layers: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, feedforward, dropout) for _ in range(layers))

    def forward(self, x_BTD: Tensor, visible_BT: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x_BTD = block(x_BTD, visible_BT)
        return x_BTD


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
