"""The item encoder (Section 3.2 of the paper): pre-training trains it, and the recommender's towers use it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.models.mmsrec_settings import ItemEncoderSettings
from mmsrec.nn.attention_mask import attention_mask
from mmsrec.nn.dropout import Dropout
from mmsrec.nn.transformer import Transformer, initialise, start_attention_equal
from mmsrec.nn.whitening import Whitening


class TokenEmbedding(nn.Module):
    """Feature, modality and position embeddings of items (Sections 3.2.1 and 3.3.1).

    Args:
        widths: widths of the features, by modality.
        settings: width and dropout are read.
        positions: length of the longest sequence; 0 for an encoder of single items.
    """

    def __init__(self, widths: Mapping[str, int], settings: ItemEncoderSettings, positions: int = 0) -> None:
        super().__init__()
        dim = settings.dim
        self.whiten = nn.ModuleDict({name: Whitening(width) for name, width in widths.items() if settings.whiten})
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in widths.items()})
        self.project_norm = nn.ModuleDict({name: nn.LayerNorm(dim) for name in widths})
        self.mask = nn.Embedding(1, dim)
        self.modality = nn.ParameterDict({name: nn.Parameter(torch.empty(dim)) for name in widths})
        self.position = nn.Embedding(positions, dim) if positions else None
        self.norm = nn.LayerNorm(dim)
        self.dropout = Dropout(settings.embedding_dropout)

    def features(self, vectors: Mapping[str, Tensor]) -> list[Tensor]:
        """Feature embeddings [N, D] of N items, one tensor a modality, from features [N, F] by modality."""
        whitened = {name: layer(vectors[name]) for name, layer in self.whiten.items()}
        return [
            self.project_norm[name](layer(whitened.get(name, vectors[name]))) for name, layer in self.project.items()
        ]

    def tokens(self, features: Sequence[Tensor], shown_NM: Tensor) -> Tensor:
        """Tokens [N, M, D]: the feature embeddings, or the [mask] where a modality is not shown."""
        columns = zip(features, shown_NM.unbind(1), strict=True)
        return torch.stack([torch.where(shown_N[:, None], x_ND, self.mask.weight) for x_ND, shown_N in columns], dim=1)

    def forward(self, tokens_XMD: Tensor, positions_X: Tensor | None = None) -> Tensor:
        """The sum of the embeddings, normalised: [X, M, D].

        Args:
            tokens_XMD: tokens of items; X stands for one axis or several.
            positions_X: positions of the items in their sequences; None for single items.
        """
        summed = tokens_XMD + torch.stack([self.modality[name] for name in self.project])
        if positions_X is not None:
            summed = summed + self.position(positions_X)[..., None, :]
        return self.dropout(self.norm(summed))


class ItemEncoder(nn.Module):
    """Tokens of items and of sequences, the transformer, and the pooling of an item's tokens to one vector.

    Args:
        widths, settings: as in `TokenEmbedding`.
        positions: as in `TokenEmbedding`. Under `item_position: first` an encoder of single items has one position.
        first_position: the position of the first place of a full window.
        own_tower: single items pass a second transformer; otherwise the transformer of the sequences.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        settings: ItemEncoderSettings,
        positions: int = 0,
        *,
        first_position: int = 0,
        own_tower: bool = False,
    ) -> None:
        super().__init__()
        self.missing = settings.missing
        self.item_position = first_position if settings.item_position == "first" else None
        self.embedding = TokenEmbedding(widths, settings, positions if self.item_position is None else positions or 1)
        self.transformer = Transformer.of(settings, final_norm=settings.final_norm)
        self.item_transformer = Transformer.of(settings, final_norm=settings.final_norm) if own_tower else None
        self.output = nn.ModuleDict({name: nn.Linear(settings.dim, settings.dim) for name in widths})
        norms = {name: nn.LayerNorm(settings.dim) for name in widths}
        self.output_norm = nn.ModuleDict(norms) if settings.output_norm == "modality" else nn.LayerNorm(settings.dim)
        initialise(self)
        for parameter in self.embedding.modality.values():
            nn.init.normal_(parameter, std=0.02)
        if settings.attention_start == "xavier":
            for transformer in filter(None, (self.transformer, self.item_transformer)):
                start_attention_equal(transformer)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.embedding.project)

    def read_tokens(self, shown_NM: Tensor) -> Tensor | None:
        """Which tokens attention and pooling read [N, M]; None for all.

        Under `drop` they skip the tokens of modalities that are not shown. An item without any modality keeps all its
        tokens.
        """
        if self.missing == "mask_token" or shown_NM.all():
            return None
        return shown_NM | ~shown_NM.any(1, keepdim=True)

    def items(self, tokens_NMD: Tensor, read_NM: Tensor | None) -> Tensor:
        """The vectors [N, D] of single items (equation 4), of length one.

        They have no position, or all of them have one and the same under `item_position: first`.
        """
        transformer, device = self.item_transformer or self.transformer, tokens_NMD.device
        position_1 = None if self.item_position is None else torch.tensor([self.item_position], device=device)
        mask = attention_mask(read_NM, tokens_NMD.shape[1], 0, device)
        hidden_NMD = transformer(self.embedding(tokens_NMD, position_1), mask)
        return self.pooled(hidden_NMD, read_NM)

    def pooled(self, hidden_NMD: Tensor, read_NM: Tensor | None) -> Tensor:
        """Vectors [N, D] of length one: projections, LayerNorm and the maximum over modalities (equation 4)."""
        projected = [layer(hidden_NMD[:, index]) for index, layer in enumerate(self.output.values())]
        projected_NMD = torch.stack(
            [norm(x_ND) for norm, x_ND in zip(self._output_norms(), projected, strict=True)], dim=1
        )
        if read_NM is not None:
            projected_NMD = projected_NMD.masked_fill(~read_NM[..., None], -torch.inf)
        return F.normalize(projected_NMD.amax(1).float(), dim=1)

    def _output_norms(self) -> list[nn.Module]:
        """The LayerNorm of each modality."""
        shared = isinstance(self.output_norm, nn.LayerNorm)
        return [self.output_norm] * len(self.output) if shared else list(self.output_norm.values())
