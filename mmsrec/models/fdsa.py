"""FDSA (Zhang et al., 2019): one causal encoder reads item ids, another one reads the items' attributes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmsrec.models.attributes import Attributes
from mmsrec.models.fdsa_settings import FDSASettings
from mmsrec.models.id_recommender import EPS, IdRecommender
from mmsrec.models.recommender import ModelInputs
from mmsrec.nn.dropout import Dropout
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.sequence_encoder import PositionedInput, SequenceEncoder
from mmsrec.nn.transformer import Transformer, initialise
from mmsrec.settings.trainer import Trainer


class FieldVectors(nn.Module):
    """The vector of one field of an item.

    A field of which no item has two values is looked up, and items without a value share a trained vector. Otherwise
    the vector is the mean over the item's values, and zero for an item without a value.

    Args:
        counts_I: number of values of each item in the field.
        values: number of distinct values.
        dim: width D.
    """

    def __init__(self, counts_I: Tensor, values: int, dim: int) -> None:
        super().__init__()
        self.single = int(counts_I.max()) <= 1
        self.value = nn.Embedding(values, dim)
        self.none = nn.Embedding(1, dim) if self.single else None

    def forward(self, place_W: Tensor, value_W: Tensor, items: int) -> Tensor:
        """Vectors [K, D] of K items; each of their values has the place of its item and its own index."""
        sums_KD = self.value.weight.new_zeros(items, self.value.embedding_dim)
        sums_KD = sums_KD.index_add(0, place_W, self.value(value_W))
        counts_K = torch.bincount(place_W, minlength=items)[:, None]
        if self.none is not None:
            return torch.where(counts_K > 0, sums_KD, self.none.weight)
        return sums_KD / counts_K.clamp(min=1)


class AttributeVectors(nn.Module):
    """One vector for the attributes of an item: the vectors of its fields, weighted by attention over the fields.

    Args:
        attributes: the attributes of all items.
        dim: width D.
    """

    def __init__(self, attributes: Attributes, dim: int) -> None:
        super().__init__()
        self.attributes = attributes
        place_W, value_W = attributes.of(torch.arange(len(attributes.offsets_I1) - 1))
        self.fields, self._first = nn.ModuleList(), []
        for field in range(len(attributes.fields)):
            [own_A] = torch.where(attributes.field_A == field)
            places_V = place_W[attributes.field_A[value_W] == field]
            counts_I = torch.bincount(places_V, minlength=len(attributes.offsets_I1) - 1)
            self.fields.append(FieldVectors(counts_I, len(own_A), dim))
            self._first.append(int(own_A[0]))
        # The softmax over one field is 1, so that nothing would be trained.
        self.score = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1)) if len(self.fields) > 1 else None

    def forward(self, items_K: Tensor) -> Tensor:
        """Vectors [K, D] of some items."""
        place_W, value_W = self.attributes.of(items_K)
        field_W = self.attributes.field_A[value_W]
        parts = []
        for number, (field, first) in enumerate(zip(self.fields, self._first, strict=True)):
            own_W = field_W == number
            parts.append(field(place_W[own_W], value_W[own_W] - first, len(items_K)))
        if self.score is None:
            return parts[0]
        fields_KFD = torch.stack(parts, dim=1)
        return (self.score(fields_KFD).softmax(1) * fields_KFD).sum(1)


@dataclass(frozen=True)
class TwoEncoders:
    """Vectors of places from two encoders of the same sequences, one of which reads each table of the items.

    Attributes:
        of_items: reads the vectors of the items.
        of_attributes: reads the items' inputs, the vectors of their attributes.
        join: one vector for each place [P, D] from those of both encoders [P, 2 D].
    """

    of_items: SequenceEncoder
    of_attributes: SequenceEncoder
    join: Callable[[Tensor], Tensor]

    def at_places(self, items: EncodedItems, inputs_BL: Tensor, rows_P: Tensor, columns_P: Tensor) -> Tensor:
        """As `SequenceEncoder.at_places`."""
        place = (inputs_BL, rows_P, columns_P)
        parts = [encoder.at_places(table, *place) for encoder, table in self._pairs(items)]
        return self.join(torch.cat(parts, dim=1))

    def at_last_place(self, items: EncodedItems, inputs_BL: Tensor) -> Tensor:
        """As `SequenceEncoder.at_last_place`."""
        parts = [encoder.at_last_place(table, inputs_BL) for encoder, table in self._pairs(items)]
        return self.join(torch.cat(parts, dim=1))

    def _pairs(self, items: EncodedItems) -> list[tuple[SequenceEncoder, EncodedItems]]:
        tables = (EncodedItems(items.vectors_KD), EncodedItems(items.inputs))
        return list(zip((self.of_items, self.of_attributes), tables, strict=True))


class FDSA(IdRecommender):
    """Predicts the next item from the item ids and from the attributes of a sequence.

    Both encoders have the sizes of SASRec. One table of positions and one LayerNorm serve both inputs, and the same
    LayerNorm serves the output. A score is the dot product with the vector of the item's id. So attributes tell
    about the history only.

    Raises:
        DataError: the items have no attributes.
    """

    def __init__(self, inputs: ModelInputs, settings: FDSASettings, trainer: Trainer) -> None:
        super().__init__(inputs.items, settings.dim, settings.objective, trainer)
        self.attributes = AttributeVectors(inputs.required_attributes(), settings.dim)
        self.input = PositionedInput(settings.dim, self.longest_history, settings.embedding_dropout, eps=EPS)
        self.transformer, self.attribute_transformer = (Transformer.of(settings, eps=EPS) for _ in range(2))
        self.output = nn.Linear(2 * settings.dim, settings.dim)
        self.output_dropout = Dropout(settings.embedding_dropout)
        encoders = [
            SequenceEncoder(
                self.input, transformer, self.objective.causal, self.precision, positions=settings.positions
            )
            for transformer in (self.transformer, self.attribute_transformer)
        ]
        self.sequences = TwoEncoders(*encoders, self._joined)
        initialise(self)

    def encode_items(self, items_K: Tensor | None = None) -> EncodedItems:
        """The item vectors [K, D], and as inputs the vectors [K, D] of the items' attributes."""
        chosen_K = torch.arange(self.items, device=self.item.weight.device) if items_K is None else items_K
        vectors_KD = self.item.weight if items_K is None else self.item(items_K)
        return EncodedItems(vectors_KD, self.attributes(chosen_K))

    def _joined(self, both_PE: Tensor) -> Tensor:
        return self.output_dropout(self.input.norm(self.output(both_PE)))
