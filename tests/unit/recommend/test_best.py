import pytest
import torch

from mmsrec.evaluation import tiles
from mmsrec.nn import threads
from mmsrec.recommend.best import OwnItems, best_items
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
    few = torch.arange(0, len(rows), 3)
    twice = few.repeat(2)  # a history may name an item twice
    changed = [
        (OwnItems.of(rows, places, USERS), -0.7),
        (OwnItems.of(rows[twice], places[twice], USERS), -torch.inf),
    ]
    scores, found = best_items(users, items, changed, TOP, group=group)
    expected = users @ items.T
    expected[rows, places] = (users @ items.T)[rows, places] - 0.7
    expected[rows[few], places[few]] = -torch.inf
    values, order = expected.sort(dim=1, descending=True)
    assert torch.equal(found, order[:, :TOP])
    torch.testing.assert_close(scores, values[:, :TOP])


def test_users_with_few_candidates_have_infinitely_low_scores():
    users, items, *_ = world()
    rows, places = torch.zeros(ITEMS - 2, dtype=torch.long), torch.arange(ITEMS - 2)
    scores, found = best_items(users, items, [(OwnItems.of(rows, places, USERS), -torch.inf)], TOP)
    assert (scores[0] > -torch.inf).tolist() == [True, True, *[False] * (TOP - 2)]
    assert set(found[0, :2].tolist()) == {ITEMS - 2, ITEMS - 1}
    assert scores[1:].isfinite().all()


def test_no_matrix_of_all_scores_is_made(monkeypatch):
    monkeypatch.setattr(threads, "MOST", 1)  # `Made` sees its own thread
    monkeypatch.setattr(tiles, "TILE_ITEMS", 64)
    users, items = 500, 1000
    nothing = torch.zeros(0, dtype=torch.long)
    with Made() as made:
        own = OwnItems.of(nothing, nothing, users)
        best_items(torch.rand(users, 8), torch.rand(items, 8), [(own, -torch.inf)], 5, group=16)
    assert max(made.sizes) < users * items / 10
