"""The paper's two towers with shared weights (Sections 3.2 and 3.3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.model.losses import catalogue_cross_entropy
from mmsrec.model.recommender import Features, Predictions, TrainedRecommender
from mmsrec.model.transformer import Dropout, Transformer, initialise
from mmsrec.params import Training

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TokenEmbedding(nn.Module):
    """Feature, modality and position embeddings of items (Sections 3.2.1 and 3.3.1)."""

    def __init__(self, widths: dict[str, int], settings: Training) -> None:
        super().__init__()
        dim = settings.dim
        self.project = nn.ModuleDict({name: nn.Linear(width, dim) for name, width in widths.items()})
        self.project_norm = nn.ModuleDict({name: nn.LayerNorm(dim) for name in widths})
        self.mask = nn.Embedding(1, dim)
        self.modality = nn.ParameterDict({name: nn.Parameter(torch.empty(dim)) for name in widths})
        self.position = nn.Embedding(settings.max_length, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = Dropout(settings.embedding_dropout)

    def table(self, features: nn.ModuleDict) -> Tensor:
        """Feature embeddings [I + 1, M, D] of all items; an absent modality and the last row are the [mask] token."""
        columns = []
        for name, feature in features.items():
            embedded_ID = self.project_norm[name](self.project[name](feature.vectors_IF))
            columns.append(torch.where(feature.present_I[:, None], embedded_ID, self.mask.weight))
        table_IMD = torch.stack(columns, dim=1)
        return torch.cat([table_IMD, self.mask.weight.expand(1, len(columns), -1)])

    def forward(self, tokens_BLMD: Tensor, *, positions: bool) -> Tensor:
        """The sum of the embeddings, normalised: [B, L * M, D]. The last item of a sequence has position 0."""
        batch, length, modalities, dim = tokens_BLMD.shape
        summed = tokens_BLMD + torch.stack([self.modality[name] for name in self.project])
        if positions:
            summed = summed + self.position.weight[:length].flip(0)[:, None, :]
        return self.dropout(self.norm(summed)).reshape(batch, length * modalities, dim)


class MMSRec(TrainedRecommender):
    """Masked item prediction by retrieval: the vector of a [mask] in a sequence retrieves the vector of an item.

    Both towers are one transformer. The item tower sees the tokens of one item, without positions; the sequence tower
    the tokens of all items of a sequence, with positions that count back from its end.

    Args:
        features: of the catalogue, by modality; they stay outside the weights.
        settings: widths, dropouts, temperature and what stands for an absent modality.
    """

    def __init__(self, features: dict[str, Features], settings: Training) -> None:
        super().__init__(len(next(iter(features.values())).present_I))
        self.settings = settings
        self.features = nn.ModuleDict(features)
        widths = {name: feature.vectors_IF.shape[1] for name, feature in features.items()}
        self.embedding = TokenEmbedding(widths, settings)
        self.transformer = Transformer(
            settings.dim, settings.layers, settings.heads, settings.feedforward, settings.hidden_dropout
        )
        self.output = nn.ModuleDict({name: nn.Linear(settings.dim, settings.dim) for name in widths})
        self.output_norm = nn.LayerNorm(settings.dim)
        initialise(self)
        for parameter in self.embedding.modality.values():
            nn.init.normal_(parameter, std=0.02)
        self.register_buffer("read_I1M", self._tokens_that_are_read(), persistent=False)

    def _tokens_that_are_read(self) -> Tensor | None:
        """Which tokens take part in attention and pooling [I + 1, M]; None when all do.

        Under `drop` the tokens of absent modalities do not, but for an item that has none at all.
        """
        present_IM = torch.stack([feature.present_I for feature in self.features.values()], dim=1)
        if self.settings.missing == "mask_token" or present_IM.all():
            return None
        present_IM |= ~present_IM.any(1, keepdim=True)
        return torch.cat([present_IM, present_IM.new_ones(1, present_IM.shape[1])])

    @property
    def longest_history(self) -> int:
        return self.settings.max_length - 1

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """The feature embeddings [I + 1, M, D] and the normalised item vectors [I, D] (equation 4)."""
        table_IMD = self.embedding.table(self.features)
        read_IM = None if self.read_I1M is None else self.read_I1M[:-1]
        tokens_IMD = self.embedding(table_IMD[:-1, None], positions=False)
        return table_IMD, self._pooled(self.transformer(tokens_IMD, read_IM), read_IM)

    def loss(self, catalogue: tuple[Tensor, ...], predictions: Predictions) -> Tensor:
        """Softmax cross-entropy over all items of cosine / temperature, summed over the predictions."""
        table_IMD, items_ID = catalogue
        queries_PD = self._retrieving(table_IMD, predictions.inputs_BL, predictions.rows_P, predictions.columns_P)
        return catalogue_cross_entropy(
            queries_PD / self.settings.temperature,
            items_ID,
            predictions.targets_P,
            PRECISIONS[self.settings.precision],
        )

    def user_vectors(self, catalogue: tuple[Tensor, ...], histories_BL: Tensor) -> Tensor:
        """The vectors of a [mask] appended to the last N - 1 items."""
        history_BL = histories_BL[:, -self.longest_history :]
        inputs_BL = F.pad(history_BL, (0, 1), value=self.mask)
        rows_B = torch.arange(len(inputs_BL), device=inputs_BL.device)
        return self._retrieving(catalogue[0], inputs_BL, rows_B, torch.full_like(rows_B, inputs_BL.shape[1] - 1))

    def _retrieving(self, table_IMD: Tensor, inputs_BL: Tensor, rows_P: Tensor, columns_P: Tensor) -> Tensor:
        batch, length = inputs_BL.shape
        modalities, dim = table_IMD.shape[1:]
        looked_up = inputs_BL.clamp(max=self.mask)
        # One look-up of an item's row: F.embedding's backward is far faster than that of indexing with three axes.
        tokens_BLMD = F.embedding(looked_up, table_IMD.flatten(1)).view(batch, length, modalities, dim)
        read_BLM = self._read_tokens(inputs_BL, looked_up, modalities)
        visible_BT = None if read_BLM is None else read_BLM.flatten(1)
        hidden_BTD = self.transformer(self.embedding(tokens_BLMD, positions=True), visible_BT)
        hidden_PMD = hidden_BTD.view(batch, length, modalities, dim)[rows_P, columns_P]
        return self._pooled(hidden_PMD, None if read_BLM is None else read_BLM[rows_P, columns_P])

    def _read_tokens(self, inputs_BL: Tensor, looked_up_BL: Tensor, modalities: int) -> Tensor | None:
        exists_BL = inputs_BL != self.absent
        if self.read_I1M is not None:
            return self.read_I1M[looked_up_BL] & exists_BL[..., None]
        if exists_BL.all():
            return None
        return exists_BL[..., None].expand(-1, -1, modalities)

    def _pooled(self, hidden_NMD: Tensor, read_NM: Tensor | None) -> Tensor:
        """A projection per modality, normalisation, the maximum over modalities (equation 4), and length one."""
        projected_NMD = torch.stack(
            [self.output_norm(layer(hidden_NMD[:, index])) for index, layer in enumerate(self.output.values())], dim=1
        )
        if read_NM is not None:
            projected_NMD = projected_NMD.masked_fill(~read_NM[..., None], -torch.inf)
        return F.normalize(projected_NMD.amax(1), dim=1)
