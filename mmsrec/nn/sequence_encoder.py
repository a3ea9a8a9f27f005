"""Computes one vector for each predicted place from a table of item inputs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.nn.attention_mask import attention_mask
from mmsrec.nn.dropout import Dropout
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.packing import Packing, last_place_packing
from mmsrec.nn.precision import reduced_precision
from mmsrec.nn.transformer import Transformer
from mmsrec.nn.user_sequences import groups_of_similar_length

# Most places and fewest items of the sequences that `of_sequences` computes together.
TOGETHER = {"cpu": (1 << 13, 1 << 10), "cuda": (math.inf, math.inf)}


class PositionedInput(nn.Module):
    """The sum of token and position embeddings, then LayerNorm and dropout.

    Args:
        dim: width D.
        positions: the longest sequence.
        dropout: probability.
        eps: added to the variance in LayerNorm.
    """

    def __init__(self, dim: int, positions: int, dropout: float, *, eps: float) -> None:
        super().__init__()
        self.position = nn.Embedding(positions, dim)
        self.norm = nn.LayerNorm(dim, eps)
        self.dropout = Dropout(dropout)

    def forward(self, tokens_NMD: Tensor, positions_N: Tensor) -> Tensor:
        """Input states [N, M, D] of N items with M tokens each."""
        return self.dropout(self.norm(tokens_NMD + self.position(positions_N)[:, None]))


def first_token(hidden_RMD: Tensor, read_RM: Tensor | None) -> Tensor:
    """The hidden state of each row's first token in float32 [R, D]."""
    return hidden_RMD[:, 0].float()


@dataclass(frozen=True)
class SequenceEncoder:
    """Computes vectors of places from sequences of item indices, with a transformer.

    It owns no weights, so that two encoders can share a transformer or an input embedding. The model that builds it
    registers the modules.

    Attributes:
        embed: input states [N, M, D] from tokens [N, M, D] and positions [N].
        transformer: attends over the tokens of all items of a sequence.
        causal: a token attends to its own item and earlier items; otherwise to all items.
        precision: precision of the transformer's matrix products.
        pool: one vector for each row [R, D], from hidden states [R, M, D] and a mask of the tokens that are read
            [R, M]. The mask None stands for all tokens.
        positions: positions count from the end of the window, or from the first item of the sequence in it.
    """

    embed: Callable[[Tensor, Tensor], Tensor]
    transformer: Transformer
    causal: bool
    precision: torch.dtype
    pool: Callable[[Tensor, Tensor | None], Tensor] = first_token
    positions: Literal["end", "start"] = "end"

    def at_places(self, items: EncodedItems, inputs_BL: Tensor, rows_P: Tensor, columns_P: Tensor) -> Tensor:
        """Vectors [P, D] of some places.

        Args:
            items: their table is looked up; an index beyond its last row is padding.
            inputs_BL: indices into the table, right-aligned.
            rows_P, columns_P: the places, all different, in the order of places.
        """
        return self._encode(items, inputs_BL, Packing(inputs_BL < len(items.table), rows_P, columns_P))

    def at_last_place(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        """Vectors [B, D] of the last place of each sequence; arguments as in `at_places`.

        Padding is computed too, so that a result does not depend on the lengths of the other sequences.
        """
        return self._encode(items, inputs_BL, last_place_packing(*inputs_BL.shape, inputs_BL.device))

    def of_sequences(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        """Vectors [B, D] of the last place of each sequence in training; arguments as in `at_places`.

        On a CPU, sequences of similar length are computed together, because attention computes padding too.
        """
        lengths_B = (inputs_BL < len(items.table)).sum(1)
        parts, order = [], []
        for rows_B, length in groups_of_similar_length(lengths_B, *TOGETHER[inputs_BL.device.type]):
            places_B = torch.arange(len(rows_B), device=rows_B.device)
            last_B = torch.full_like(places_B, length - 1)
            parts.append(self.at_places(items, inputs_BL[rows_B, -length:], places_B, last_B))
            order.append(rows_B)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def _encode(self, items: EncodedItems, inputs_BL: Tensor, packing: Packing) -> Tensor:
        table, dim = items.table, items.table.shape[-1]
        exists_BL = inputs_BL < len(table)
        index_BL = inputs_BL.clamp(max=len(table) - 1)
        # One look-up of an item's whole row: F.embedding's backward is far faster than that of indexing three axes.
        rows_N = F.embedding(index_BL.flatten()[packing.place_N], table.flatten(1))
        tokens_NMD = rows_N.view(len(rows_N), -1, dim)
        tokens_per_item = tokens_NMD.shape[1]
        read_BLM = _read_tokens(items.read, index_BL, exists_BL, tokens_per_item)
        mask = attention_mask(
            None if read_BLM is None else read_BLM.flatten(1),
            inputs_BL.shape[1] * tokens_per_item,
            tokens_per_item if self.causal else 0,
            inputs_BL.device,
        )
        embedded_NMD = self.embed(tokens_NMD, self._positions(exists_BL).flatten()[packing.place_N])
        read_RM = None if read_BLM is None else read_BLM.flatten(0, 1)[packing.place_R]
        with reduced_precision(self.precision, inputs_BL.device, embedded_NMD.shape[:-1].numel()):
            hidden_RMD = self.transformer.predicted(embedded_NMD, mask, packing)
            return self.pool(hidden_RMD, read_RM)[: packing.predictions]

    def _positions(self, exists_BL: Tensor) -> Tensor:
        """The position of each place [B, L]."""
        column_L = torch.arange(exists_BL.shape[1], device=exists_BL.device)
        if self.positions == "end":
            return column_L.flip(0).expand(exists_BL.shape)
        return (column_L - (~exists_BL).sum(1, keepdim=True)).clamp(min=0)


def _read_tokens(read_KM: Tensor | None, index_BL: Tensor, exists_BL: Tensor, tokens_per_item: int) -> Tensor | None:
    """Which tokens of the places are read [B, L, M]; None for all."""
    if read_KM is not None:
        return read_KM[index_BL] & exists_BL[..., None]
    if exists_BL.all():
        return None
    return exists_BL[..., None].expand(-1, -1, tokens_per_item)
