"""The paper's two towers with shared weights (Sections 3.2 and 3.3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.experiment_rows import Training
from mmsrec.model.item_encoder import PRECISIONS, ItemEncoder
from mmsrec.model.losses import catalogue_cross_entropy
from mmsrec.model.recommender import Features, Predictions, TrainedRecommender


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
        self.encoder = ItemEncoder(widths, settings, settings.max_length)
        for name, whitening in self.encoder.embedding.whiten.items():
            whitening.fit([features[name].vectors_IF[features[name].present_I]])
        present_IM = torch.stack([feature.present_I for feature in features.values()], dim=1)
        self.register_buffer("present_IM", present_IM, persistent=False)
        # Read tokens of all items, and of the [mask] in the last row.
        read_IM = self.encoder.read_tokens(present_IM)
        self.register_buffer("read_I1M", None if read_IM is None else F.pad(read_IM, (0, 0, 0, 1), value=True), False)

    @property
    def longest_history(self) -> int:
        return self.settings.max_length - 1

    def catalogue(self) -> tuple[Tensor, Tensor]:
        """Tokens [I + 1, M, D] of all items, the [mask] in the last row, and the normalised item vectors [I, D]."""
        embedding = self.encoder.embedding
        features = embedding.features({name: feature.vectors_IF for name, feature in self.features.items()})
        tokens_IMD = embedding.tokens(features, self.present_IM)
        table_IMD = torch.cat([tokens_IMD, embedding.mask.weight.expand(1, tokens_IMD.shape[1], -1)])
        return table_IMD, self.encoder.items(tokens_IMD, None if self.read_I1M is None else self.read_I1M[:-1])

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
        hidden_BTD = self.encoder.transformer(self.encoder.embedding(tokens_BLMD, positions=True), visible_BT)
        hidden_PMD = hidden_BTD.view(batch, length, modalities, dim)[rows_P, columns_P]
        return self.encoder.pooled(hidden_PMD, None if read_BLM is None else read_BLM[rows_P, columns_P])

    def _read_tokens(self, inputs_BL: Tensor, looked_up_BL: Tensor, modalities: int) -> Tensor | None:
        exists_BL = inputs_BL != self.absent
        if self.read_I1M is not None:
            return self.read_I1M[looked_up_BL] & exists_BL[..., None]
        if exists_BL.all():
            return None
        return exists_BL[..., None].expand(-1, -1, modalities)
