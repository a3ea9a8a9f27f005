"""Computes one vector for each predicted place with a GRU."""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.nn.dropout import Dropout
from mmsrec.nn.encoded_items import EncodedItems


class GRUEncoder(nn.Module):
    """One layer of a GRU without biases, and a linear layer from its states back to the width of the items.

    Without biases the state stays zero over inputs of zeros. So padding before a sequence changes nothing. The GRU
    computes in float32.

    Args:
        dim: width D of the items.
        hidden: width of the state.
        dropout: probability, of the inputs.
    """

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.gru = nn.GRU(dim, hidden, bias=False, batch_first=True)
        self.output = nn.Linear(hidden, dim)
        for weight in self.gru.parameters():
            nn.init.xavier_uniform_(weight)

    def at_places(self, items: EncodedItems, inputs_BL: Tensor, rows_P: Tensor, columns_P: Tensor) -> Tensor:
        """Vectors [P, D] of some places; arguments as in `SequenceEncoder.at_places`."""
        states_BLH, _ = self.gru(self._inputs(items, inputs_BL))
        places_P = rows_P * inputs_BL.shape[1] + columns_P
        return self.output(states_BLH.flatten(0, 1).index_select(0, places_P))

    def at_last_place(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        """Vectors [B, D] of the last place of each sequence; arguments as in `SequenceEncoder.at_last_place`."""
        _, state_1BH = self.gru(self._inputs(items, inputs_BL))
        return self.output(state_1BH[0])

    def _inputs(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        """The items of the places [B, L, D], and zeros in the padding."""
        exists_BL = inputs_BL < len(items.table)
        items_BLD = F.embedding(inputs_BL.clamp(max=len(items.table) - 1), items.table)
        return self.dropout(items_BLD * exists_BL[..., None])
