import pytest
import torch

from mmsrec.errors import DataError
from mmsrec.models.dataset import Dataset
from mmsrec.recommend.best import recommend
from tests.unit.evaluation.test_ranks import Scripted
from tests.unit.nn.test_user_sequences import make

DATASET = Dataset(
    item_ids=["a", "b", "c", "d"], users=["ann", "bob"], sequences=make([0, 1, 2], [3, 0]), features={}, inputs={}
)
SCORES = torch.tensor([[9, 5, 6, 8], [0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]]).float()  # rows: the user's last item


def rows(**options):
    return recommend(Scripted(SCORES), DATASET, **options).select("user", "position", "item_id").rows()


def test_items_of_the_user_are_left_out():
    assert rows(top=3) == [("ann", 1, "d"), ("bob", 1, "c"), ("bob", 2, "b")]


def test_the_option_seen_includes_items_of_the_user():
    assert rows(top=2, seen=True, users=["bob"]) == [("bob", 1, "a"), ("bob", 2, "d")]


def test_an_unknown_user_is_an_error_that_names_it():
    with pytest.raises(DataError, match="eve"):
        rows(users=["eve"])
