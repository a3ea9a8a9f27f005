"""The item encoder of the authors' released code, restated from its facts in plain torch, as the other side of tests.

It computes one item or one history at a time in float64. Its parameters have the names of the authors' checkpoint.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MODALITIES = ("vision", "text")
DIM, LAYERS, HEADS, FEEDFORWARD, TEMPERATURE = 16, 2, 4, 32, 0.05
WIDTHS = {"vision": 10, "text": 8}


class Released(nn.Module):
    """The released model, with LayerNorm weights as after a training and dropout off.

    Args:
        length: N; a history with its [mask] fills a window of N places, padded on the left and numbered from the left.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        layer = nn.TransformerEncoderLayer(DIM, HEADS, FEEDFORWARD, 0.0, "gelu", batch_first=True)
        encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(DIM), enable_nested_tensor=False)
        self.input = _per_modality(WIDTHS)
        self.embedding = nn.ModuleDict({"layer_norm": nn.LayerNorm(DIM)})
        for name, rows in (("position", length), ("modal_type", 2), ("mask", 1), ("prompt", 1)):
            self.embedding[f"{name}_embeddings"] = nn.Embedding(rows, DIM)
        self.blocks = nn.ModuleDict({"transform": encoder})
        self.output = _per_modality(dict.fromkeys(MODALITIES, DIM))
        self.double()
        for name, parameter in self.named_parameters():
            nn.init.normal_(parameter, mean=float("norm" in name and name.endswith("weight")), std=0.2)

    def checkpoint(self) -> dict[str, dict[str, Tensor]]:
        """The weights as the authors save them, in float32."""
        parts = {name: getattr(self, name).state_dict() for name in ("input", "embedding", "blocks", "output")}
        return {name: {key: value.float() for key, value in part.items()} for name, part in parts.items()}

    def features(self, vectors: dict[str, Tensor]) -> Tensor:
        """The feature embeddings [I, M, D] of items."""
        return torch.stack([self._through(self.input, name, vectors[name].double()) for name in MODALITIES], dim=1)

    def item(self, tokens_MD: Tensor, shown_M: Tensor) -> Tensor:
        """The vector [D] of an item, of length one; it stands at position 0."""
        return self._vectors(tokens_MD[None], shown_M[None], torch.zeros(1, dtype=torch.long))[0]

    def items(self, tokens_IMD: Tensor, shown_IM: Tensor) -> Tensor:
        """The vectors [I, D] of items."""
        return torch.stack([self.item(*item) for item in zip(tokens_IMD, shown_IM, strict=True)])

    def places(self, window: list[int], tokens_IMD: Tensor, shown_IM: Tensor) -> Tensor:
        """The vectors [L, D] of the places of a window of items; the index I stands for [mask]."""
        mask_1MD = self.embedding["mask_embeddings"].weight.expand(1, len(MODALITIES), DIM)
        table, shown = torch.cat([tokens_IMD, mask_1MD]), F.pad(shown_IM, (0, 0, 0, 1), value=True)
        first = self.length - len(window)
        return self._vectors(table[window], shown[window], torch.arange(first, self.length))

    def at_mask(self, history: list[int], tokens_IMD: Tensor, shown_IM: Tensor) -> Tensor:
        """The vector [D] of the [mask] after a history, of which the last N - 1 items are read."""
        return self.places([*history[1 - self.length :], len(tokens_IMD)], tokens_IMD, shown_IM)[-1]

    def _vectors(self, tokens_LMD: Tensor, shown_LM: Tensor, position_L: Tensor) -> Tensor:
        embedding = self.embedding
        position_L1D = embedding["position_embeddings"](position_L)[:, None]
        summed_LMD = tokens_LMD + position_L1D + embedding["modal_type_embeddings"].weight
        tokens_1TD = embedding["layer_norm"](summed_LMD).flatten(0, 1)[None]
        hidden_1TD = self.blocks["transform"](tokens_1TD, src_key_padding_mask=~shown_LM.flatten()[None])
        hidden_LMD = hidden_1TD[0].unflatten(0, shown_LM.shape)
        projected = [self._through(self.output, name, hidden_LMD[:, row]) for row, name in enumerate(MODALITIES)]
        pooled_LD = torch.stack(projected, dim=1).masked_fill(~shown_LM[..., None], -1e4).amax(1)
        return F.normalize(pooled_LD, dim=1)

    @staticmethod
    def _through(layers: nn.ModuleDict, name: str, x: Tensor) -> Tensor:
        return layers[f"{name}_layer_norm"](layers[f"{name}_transform"](x))


def _per_modality(widths: dict[str, int]) -> nn.ModuleDict:
    layers = {f"{name}_transform": nn.Linear(width, DIM) for name, width in widths.items()}
    return nn.ModuleDict(layers | {f"{name}_layer_norm": nn.LayerNorm(DIM) for name in widths})


def contrastive_term(x_ND: Tensor, y_ND: Tensor) -> Tensor:
    """InfoNCE in both directions, each the mean over the items."""
    logits_NN, targets_N = x_ND @ y_ND.T / TEMPERATURE, torch.arange(len(x_ND))
    return F.cross_entropy(logits_NN, targets_N) + F.cross_entropy(logits_NN.T, targets_N)
