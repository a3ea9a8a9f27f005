"""The blocks of a transformer in plain torch, for one sequence without padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def slow_blocks(blocks: nn.ModuleList, states_LD: Tensor, heads: int, *, causal: bool) -> Tensor:
    """The states [L, D] after post-norm blocks, without dropout."""
    length, dim = states_LD.shape
    later = torch.ones(length, length, dtype=torch.bool).triu(1) if causal else torch.zeros(1, 1, dtype=torch.bool)
    for block in blocks:
        query, key, value = (
            part.unflatten(-1, (heads, -1)).transpose(0, 1) for part in block.attention.inputs(states_LD).chunk(3, -1)
        )
        logits = (query @ key.transpose(1, 2)) / (dim // heads) ** 0.5
        mixed = (logits.masked_fill(later, -torch.inf).softmax(-1) @ value).transpose(0, 1).flatten(1)
        states_LD = block.attention_norm(states_LD + block.attention_output(mixed))
        states_LD = block.feedforward_norm(states_LD + block.contract(F.gelu(block.expand(states_LD))))
    return states_LD
