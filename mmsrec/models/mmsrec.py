"""The paper's two towers (Sections 3.2 and 3.3); settings add a causal objective and item embeddings."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsrec.errors import DataError
from mmsrec.models.mmsrec_settings import MMSRecSettings
from mmsrec.models.recommender import ModelInputs, TrainedRecommender
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.objectives import Causal, Masked, Objective
from mmsrec.nn.precision import reduced_precision
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.retrieval_loss import retrieval_loss
from mmsrec.nn.sequence_encoder import SequenceEncoder
from mmsrec.settings.trainer import Trainer


class MMSRec(TrainedRecommender):
    """Predicts an item by the cosine of its vector with the vector of a place in a sequence.

    Both towers are one transformer (`item_tower: shared`). The item tower sees the tokens of one item, without
    positions or all at one (`item_position`). The sequence tower sees the tokens of all items of a sequence, with
    positions. Under the objective
    `masked`, a [mask] stands at the predicted place, and every token sees all others (Section 3.3.3). Under `causal`,
    the predicted place holds the item before, and a token sees its own item and earlier items.

    Args:
        inputs: the features of the items.
        settings: settings of the model.
        trainer: as in `TrainedRecommender`.

    Raises:
        DataError: the hidden modality is not one of several that the model reads.
    """

    item_rows = frozenset({"item_embedding.weight"})
    items_in_parts = True
    read_by: ClassVar[tuple[str, ...]] = (
        *TrainedRecommender.read_by,
        "objective",
        "missing",
        "item_position",
        "hidden_modality",
    )

    def __init__(self, inputs: ModelInputs, settings: MMSRecSettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, trainer)
        self.settings = settings
        self.features = nn.ModuleDict(inputs.features)
        widths = {name: feature.vectors_IF.shape[1] for name, feature in inputs.features.items()}
        _check_hidden(settings.hidden_modality, widths)
        # Counted from the end, the first place of a full window has the last position. The window holds the history
        # and, under `masked`, a [mask].
        first = self.longest_history - self.objective.causal if settings.positions == "end" else 0
        self.encoder = ItemEncoder(
            widths, settings, trainer.max_length, first_position=first, own_tower=settings.item_tower == "own"
        )
        for name, whitening in self.encoder.embedding.whiten.items():
            whitening.fit([inputs.vectors_to_fit(name)])
        self.item_embedding = nn.Embedding(self.items, settings.dim) if settings.item_embedding else None
        if self.item_embedding is not None:
            nn.init.normal_(self.item_embedding.weight, std=0.02)
        self._some_unread = self.encoder.read_tokens(self._shown(slice(None))) is not None
        self.sequences = SequenceEncoder(
            self.encoder.embedding,
            self.encoder.transformer,
            self.objective.causal,
            self.precision,
            self.encoder.pooled,
            settings.positions,
        )

    @property
    def objective(self) -> Objective:
        return Causal() if self.settings.objective == "causal" else Masked(self.settings.mask_probability)

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """Tokens [K + 1, M, D] of items, the [mask] in the last row, and their normalised vectors [K, D]."""
        embedding = self.encoder.embedding
        chosen = slice(None) if items_K is None else items_K
        shown_KM = self._shown(chosen)
        with self._reduced(shown_KM[..., None]):
            features = embedding.features({name: feature.vectors_IF[chosen] for name, feature in self.features.items()})
        tokens_KMD = embedding.tokens(features, shown_KM)
        if self.item_embedding is not None:
            tokens_KMD = tokens_KMD + self.item_embedding.weight[chosen][:, None]
        table = torch.cat([tokens_KMD, embedding.mask.weight.expand(1, tokens_KMD.shape[1], -1)])
        read_KM = self.encoder.read_tokens(shown_KM)
        with self._reduced(table):
            vectors_KD = self.encoder.items(tokens_KMD, read_KM)
        if not self._some_unread:
            return EncodedItems(vectors_KD, table)
        all_read_KM = torch.ones_like(shown_KM) if read_KM is None else read_KM
        return EncodedItems(vectors_KD, table, F.pad(all_read_KM, (0, 0, 0, 1), value=True))

    def loss(self, items: EncodedItems, predictions: Predictions) -> Tensor:
        """Softmax cross-entropy of cosine / temperature over the items, summed over the predictions."""
        queries_PD = self.sequences.at_places(items, predictions.inputs_BL, predictions.rows_P, predictions.columns_P)
        return retrieval_loss(queries_PD / self.settings.temperature, items.vectors_KD, predictions, self.precision)

    def user_vectors(self, items: EncodedItems, histories_BL: Tensor) -> Tensor:
        """The vectors [B, D] of the place that predicts the item after the latest N - 1 items."""
        latest_BL = histories_BL[:, -self.longest_history :]
        return self.sequences.at_last_place(items, self.objective.next_item_inputs(latest_BL, self.mask))

    def _shown(self, items_K: Tensor | slice) -> Tensor:
        """Which modalities of some items the model reads [K, M]."""
        hidden = self.settings.hidden_modality
        columns = [feature.present_I[items_K] & (name != hidden) for name, feature in self.features.items()]
        return torch.stack(columns, dim=1)

    def _reduced(self, tokens: Tensor) -> torch.autocast:
        return reduced_precision(self.precision, tokens.device, tokens.shape[:-1].numel())


def _check_hidden(hidden: str, widths: Mapping[str, int]) -> None:
    if hidden != "none" and (hidden not in widths or len(widths) == 1):
        raise DataError(
            "A model can hide only one of several modalities.",
            where=f"hidden_modality: {hidden}",
            expected=f"features of {hidden} and of another modality",
            found=f"features of {', '.join(widths)}",
            fix="Give the variant encoders of both modalities, or remove hidden_modality.",
        )
