"""The attributes of items, such as brands, categories and genres, as a sparse table."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError


class Attributes(nn.Module):
    """The attributes of every item; they follow a model to its device, and weights files leave them out.

    Item i has the attributes values[offsets[i]:offsets[i + 1]]. An attribute is `FIELD=NAME`. The attributes are
    numbered in the order of their texts, so those of one field are neighbours.

    Args:
        lists: the attributes of each item, each once.

    Attributes:
        names: the texts of the A attributes, sorted.
        fields: the distinct fields in the order of `names`.
        offsets_I1: the first value of each item, then the number of values, int64.
        values_V: indices of attributes, int64.
        field_A: index of each attribute's field.
    """

    def __init__(self, lists: Sequence[Sequence[str]]) -> None:
        super().__init__()
        # Compared by field and name: the text alone would put `a-b=x` between two attributes of the field `a`.
        self.names = sorted({name for row in lists for name in row}, key=lambda name: name.split("=", 1))
        fields = [name.split("=", 1)[0] for name in self.names]
        self.fields = list(dict.fromkeys(fields))
        places = {name: place for place, name in enumerate(self.names)}
        counts_I = torch.tensor([len(row) for row in lists])
        values = [places[name] for row in lists for name in row]
        tensors = {
            "offsets_I1": torch.cat([counts_I.new_zeros(1), counts_I.cumsum(0)]),
            "values_V": torch.tensor(values, dtype=torch.long),
            "field_A": torch.tensor([self.fields.index(field) for field in fields], dtype=torch.long),
        }
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    @classmethod
    def read(cls, path: Path, item_ids: Sequence[str]) -> "Attributes":
        """Reads attributes.parquet.

        Raises:
            ArtifactError: the file is missing or damaged, or was written for other items.
        """
        table = read_table(path, SCHEMAS["attributes"])
        if table.column("item_id").to_pylist() != list(item_ids):
            raise ArtifactError(
                "The attributes belong to other items.",
                where=path,
                expected="one row for each item of the k-core, in the same order",
                found=f"{table.num_rows:,} other rows",
                fix="Run the stage attributes again.",
            )
        return cls(table.column("attributes").to_pylist())

    def of(self, items_K: Tensor) -> tuple[Tensor, Tensor]:
        """The attributes of some items, side by side.

        Args:
            items_K: indices of the items.

        Returns:
            For each attribute of each item, the place of the item in `items_K` [W], and the attribute [W].
        """
        first_K = self.offsets_I1[items_K]
        count_K = self.offsets_I1[items_K + 1] - first_K
        place_W = torch.repeat_interleave(count_K)
        within_W = torch.arange(len(place_W), device=place_W.device) - (count_K.cumsum(0) - count_K)[place_W]
        return place_W, self.values_V[first_K[place_W] + within_W]
