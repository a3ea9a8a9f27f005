"""The sparse table of attributes."""

import polars as pl
import pytest
import torch

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.errors import ArtifactError
from mmsrec.models.attributes import Attributes

LISTS = [["brand=b", "a-b=x"], [], ["a=z", "brand=a=c", "a=b"], ["brand=b"]]


def written(tmp_path, lists):
    frame = pl.DataFrame({"item_id": [str(item) for item in range(len(lists))], "attributes": lists})
    write_table(tmp_path / "attributes.parquet", frame.to_arrow(), SCHEMAS["attributes"])
    return tmp_path / "attributes.parquet"


def test_attributes_of_a_field_are_neighbours(tmp_path):
    table = Attributes.read(written(tmp_path, LISTS), ["0", "1", "2", "3"])
    assert table.names == ["a=b", "a=z", "a-b=x", "brand=a=c", "brand=b"]
    assert table.fields == ["a", "a-b", "brand"]
    assert table.field_A.tolist() == [0, 0, 1, 2, 2]
    assert table.offsets_I1.tolist() == [0, 2, 2, 5, 6]
    assert [table.names[value] for value in table.values_V] == [name for row in LISTS for name in row]
    assert not table.state_dict(), "weights files leave the attributes out"


def test_the_attributes_of_some_items_keep_their_order():
    table = Attributes(LISTS)
    places, values = table.of(torch.tensor([3, 1, 2, 2]))
    assert places.tolist() == [0, 2, 2, 2, 3, 3, 3]
    assert [table.names[value] for value in values] == [*LISTS[3], *LISTS[2], *LISTS[2]]
    assert [len(part) for part in table.of(torch.tensor([1]))] == [0, 0]


def test_attributes_of_other_items_are_an_error(tmp_path):
    path = written(tmp_path, LISTS)
    for ids in (["0", "1", "2"], ["0", "1", "3", "2"]):
        with pytest.raises(ArtifactError, match="belong to other items"):
            Attributes.read(path, ids)
    with pytest.raises(ArtifactError, match="missing"):
        Attributes.read(tmp_path / "absent.parquet", ["0"])
