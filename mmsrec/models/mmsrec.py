"""The paper's two towers (Sections 3.2 and 3.3), and what goes beyond it: a causal objective, item embeddings."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.models.recommender import Features, Objective, TrainedRecommender
from mmsrec.nn.catalogue_loss import retrieval_loss
from mmsrec.nn.item_encoder import PRECISIONS, ItemEncoder
from mmsrec.nn.packing import Packing, packing_of_last
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.transformer import attention_mask, reduced_precision
from mmsrec.settings.experiments import Training


class MMSRec(TrainedRecommender):
    """Retrieval of items by the vector of a place in a sequence.

    Both towers are one transformer (`item_tower: shared`). The item tower sees the tokens of one item, without
    positions; the sequence tower the tokens of all items of a sequence, with positions. Under the objective `masked`
    the place is a [mask] that stands for the item, and every token sees all others (Section 3.3.3); under `causal` it
    is the item before, and a token sees its own item's and those of earlier items.

    Args:
        features: of the catalogue, by modality; they stay outside the weights.
        settings: widths, dropouts, temperature, objective and what stands for an absent modality.
    """

    def __init__(self, features: dict[str, Features], settings: Training) -> None:
        super().__init__(len(next(iter(features.values())).present_I))
        self.settings = settings
        self.features = nn.ModuleDict(features)
        widths = {name: feature.vectors_IF.shape[1] for name, feature in features.items()}
        self.encoder = ItemEncoder(widths, settings, settings.max_length, own_tower=settings.item_tower == "own")
        for name, whitening in self.encoder.embedding.whiten.items():
            whitening.fit([features[name].vectors_IF[features[name].present_I]])
        self.item_embedding = nn.Embedding(self.items, settings.dim) if settings.item_embedding else None
        shown_IM = torch.stack([feature.present_I for feature in features.values()], dim=1)
        self._some_unread = self.encoder.read_tokens(shown_IM) is not None
        if self.item_embedding is not None:
            nn.init.normal_(self.item_embedding.weight, std=0.02)

    @property
    def objective(self) -> Objective:
        return self.settings.objective

    @property
    def longest_history(self) -> int:
        return self.settings.max_length - 1

    def catalogue(self, items_K: Tensor | None = None) -> tuple[Tensor, ...]:
        """Tokens [K + 1, M, D] of items, the [mask] in the last row, and their normalised vectors [K, D].

        Between them stands which tokens are read [K + 1, M], where some of the whole catalogue's are not.
        """
        embedding = self.encoder.embedding
        chosen = slice(None) if items_K is None else items_K
        present_KM = torch.stack([feature.present_I[chosen] for feature in self.features.values()], dim=1)
        with self._reduced(present_KM[..., None]):
            features = embedding.features({name: feature.vectors_IF[chosen] for name, feature in self.features.items()})
        tokens_KMD = embedding.tokens(features, present_KM)
        if self.item_embedding is not None:
            tokens_KMD = tokens_KMD + self.item_embedding.weight[chosen][:, None]
        table_KMD = torch.cat([tokens_KMD, embedding.mask.weight.expand(1, tokens_KMD.shape[1], -1)])
        read_KM = self.encoder.read_tokens(present_KM)
        with self._reduced(table_KMD):
            items_KD = self.encoder.items(tokens_KMD, read_KM)
        if not self._some_unread:
            return table_KMD, items_KD
        all_read_KM = torch.ones_like(present_KM) if read_KM is None else read_KM
        return table_KMD, F.pad(all_read_KM, (0, 0, 0, 1), value=True), items_KD

    def loss(self, catalogue: tuple[Tensor, ...], predictions: Predictions) -> Tensor:
        """Softmax cross-entropy of cosine / temperature over the catalogue's items, summed over the predictions."""
        inputs_BL = predictions.inputs_BL
        packing = Packing(inputs_BL < len(catalogue[0]), predictions.rows_P, predictions.columns_P)
        queries_PD = self._retrieving(catalogue, inputs_BL, packing)
        return retrieval_loss(
            queries_PD / self.settings.temperature, catalogue[-1], predictions, PRECISIONS[self.settings.precision]
        )

    def user_vectors(self, catalogue: tuple[Tensor, ...], histories_BL: Tensor) -> Tensor:
        """The vectors of a [mask] appended to the last N - 1 items, or under `causal` of the last of them."""
        inputs_BL = histories_BL[:, -self.longest_history :]
        if self.objective == "masked":
            inputs_BL = F.pad(inputs_BL, (0, 1), value=len(catalogue[-1]))
        return self._retrieving(catalogue, inputs_BL, packing_of_last(*inputs_BL.shape, inputs_BL.device))

    def _retrieving(self, catalogue: tuple[Tensor, ...], inputs_BL: Tensor, packing: Packing) -> Tensor:
        table_KMD, *read = catalogue[:-1]
        modalities, dim = table_KMD.shape[1:]
        exists_BL = inputs_BL < len(table_KMD)
        looked_up_BL = inputs_BL.clamp(max=len(table_KMD) - 1)
        read_BLM = _read_tokens(read[0] if read else None, looked_up_BL, exists_BL, modalities)
        mask = attention_mask(
            None if read_BLM is None else read_BLM.flatten(1),
            inputs_BL.shape[1] * modalities,
            modalities if self.objective == "causal" else 0,
            inputs_BL.device,
        )
        # One look-up of an item's row: F.embedding's backward is far faster than that of indexing with three axes.
        rows_N = F.embedding(looked_up_BL.flatten()[packing.place_N], table_KMD.flatten(1))
        positions_N = self._positions(exists_BL).flatten()[packing.place_N]
        embedded_NMD = self.encoder.embedding(rows_N.view(-1, modalities, dim), positions_N)
        read_WM = None if read_BLM is None else read_BLM.flatten(0, 1)[packing.place_W]
        with self._reduced(embedded_NMD):
            hidden_WMD = self.encoder.transformer.wanted(embedded_NMD, mask, packing)
            return self.encoder.pooled(hidden_WMD, read_WM)[: packing.wanted]

    def _positions(self, exists_BL: Tensor) -> Tensor:
        """Distances from the end of the window, or from the first item of the sequence in it [B, L]."""
        column_L = torch.arange(exists_BL.shape[1], device=exists_BL.device)
        if self.settings.positions == "end":
            return column_L.flip(0).expand(exists_BL.shape)
        return (column_L - (~exists_BL).sum(1, keepdim=True)).clamp(min=0)

    def _reduced(self, tokens: Tensor) -> torch.autocast:
        return reduced_precision(PRECISIONS[self.settings.precision], tokens.device, tokens.shape[:-1].numel())


def _read_tokens(read_KM: Tensor | None, items_BL: Tensor, exists_BL: Tensor, modalities: int) -> Tensor | None:
    if read_KM is not None:
        return read_KM[items_BL] & exists_BL[..., None]
    if exists_BL.all():
        return None
    return exists_BL[..., None].expand(-1, -1, modalities)
