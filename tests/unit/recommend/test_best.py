import pytest
import torch

from mmsrec.evaluation import tiles
from mmsrec.nn import threads
from mmsrec.recommend.best import Excluded, best_items
from tests.made import Made

USERS, ITEMS, TOP = 30, 23, 6


def world():
    generator = torch.Generator().manual_seed(0)
    users, items = torch.randn(USERS, 4, generator=generator), torch.randn(ITEMS, 4, generator=generator)
    pairs = torch.randint(USERS * ITEMS, (300,), generator=generator)
    return users, items, pairs // ITEMS, pairs % ITEMS


@pytest.mark.parametrize("tile", [1 << 16, 5])
@pytest.mark.parametrize("group", [None, 7])
def test_the_best_items_equal_a_full_sort(monkeypatch, tile, group):
    monkeypatch.setattr(tiles, "TILE_ITEMS", tile)
    users, items, rows, places = world()
    scores, found = best_items(users, items, Excluded.of(rows, places, USERS), TOP, group=group)
    expected = users @ items.T
    expected[rows, places] = -torch.inf
    values, order = expected.sort(dim=1, descending=True)
    assert torch.equal(found, order[:, :TOP])
    torch.testing.assert_close(scores, values[:, :TOP])


def test_users_with_few_candidates_have_infinitely_low_scores():
    users, items, *_ = world()
    rows, places = torch.zeros(ITEMS - 2, dtype=torch.long), torch.arange(ITEMS - 2)
    scores, found = best_items(users, items, Excluded.of(rows, places, USERS), TOP)
    assert (scores[0] > -torch.inf).tolist() == [True, True, *[False] * (TOP - 2)]
    assert set(found[0, :2].tolist()) == {ITEMS - 2, ITEMS - 1}
    assert scores[1:].isfinite().all()


def test_no_matrix_of_all_scores_is_made(monkeypatch):
    monkeypatch.setattr(threads, "MOST", 1)  # `Made` sees its own thread
    monkeypatch.setattr(tiles, "TILE_ITEMS", 64)
    users, items = 500, 1000
    nothing = torch.zeros(0, dtype=torch.long)
    with Made() as made:
        best_items(torch.rand(users, 8), torch.rand(items, 8), Excluded.of(nothing, nothing, users), 5, group=16)
    assert max(made.sizes) < users * items / 10
