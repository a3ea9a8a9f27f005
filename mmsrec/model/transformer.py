"""The transformer that both towers share: post-norm blocks with GELU, as in BERT."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        query, key, value = (
            self.inputs(x_BTD).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        )
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
        self.dropout = Dropout(dropout)

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
