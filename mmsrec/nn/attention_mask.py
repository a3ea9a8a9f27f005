"""The mask of self-attention over the tokens of sequences of items."""

import torch
from torch import Tensor


def attention_mask(visible_BT: Tensor | None, tokens: int, causal: int, device: torch.device) -> Tensor | None:
    """The keys that each query may attend to, for sequences of `tokens` tokens.

    Args:
        visible_BT: tokens that any query may attend to; None when all are visible.
        tokens: T.
        causal: 0 when a query sees all items. Otherwise the number of tokens of one item: a query then sees the tokens
            of the same item and of earlier items.
        device: device of the result.

    Returns:
        A mask that broadcasts to [B, heads, T, T], or None for no restriction. Under `causal` a token always sees
        itself, so that every query has a key.
    """
    keys_B11T = None if visible_BT is None else visible_BT[:, None, None, :]
    if not causal:
        return keys_B11T
    item_T = torch.arange(tokens, device=device) // causal
    earlier_TT = item_T[:, None] >= item_T[None, :]
    if keys_B11T is None:
        return earlier_TT
    return (earlier_TT & keys_B11T) | torch.eye(tokens, dtype=torch.bool, device=device)
