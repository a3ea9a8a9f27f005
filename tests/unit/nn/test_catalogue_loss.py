import pytest
import torch
from torch.nn import functional as F

from mmsrec.nn import catalogue_loss, loss_tiles
from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from tests.made import Made


def slow_loss(queries, items, targets):
    return F.cross_entropy(queries @ items.T, targets, reduction="sum")


def example(predictions=37, items=101, dim=16, scale=20.0):
    torch.manual_seed(0)
    queries = F.normalize(torch.randn(predictions, dim, dtype=torch.float64), dim=1) * scale
    return queries.float(), torch.randn(items, dim), torch.randint(items, (predictions,))


def value_and_gradients(function, queries, items, targets, **options):
    queries, items = queries.clone().requires_grad_(), items.clone().requires_grad_()
    loss = function(queries, items, targets, **options)
    (loss * 0.5).backward()
    return loss.detach(), queries.grad, items.grad


@pytest.mark.parametrize(("elements", "tile_items"), [(1 << 20, 1 << 16), (101 * 5, 1 << 16), (40 * 7, 40), (1, 1)])
def test_value_and_gradients_equal_the_plain_loss(monkeypatch, elements, tile_items):
    monkeypatch.setattr(loss_tiles, "TILE_ELEMENTS", {"cpu": elements})
    monkeypatch.setattr(catalogue_loss, "TILE_ITEMS", tile_items)
    fast = value_and_gradients(catalogue_cross_entropy, *example())
    slow = value_and_gradients(slow_loss, *example())
    for found, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_aligned_rows_as_on_a_gpu_change_nothing(monkeypatch):
    usual = value_and_gradients(catalogue_cross_entropy, *example())
    monkeypatch.setattr(catalogue_loss, "ALIGNED", {"cpu": catalogue_loss.ALIGNED["cuda"]})
    aligned = value_and_gradients(catalogue_cross_entropy, *example())
    for found, expected in zip(aligned, usual, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("tile_items", [1 << 16, 40])
def test_bfloat16_changes_the_loss_and_gradients_little(monkeypatch, tile_items):
    monkeypatch.setattr(catalogue_loss, "TILE_ITEMS", tile_items)
    queries, items, targets = example(items=1000)
    items = F.normalize(items, dim=1)
    fast = value_and_gradients(catalogue_cross_entropy, queries, items, targets, precision=torch.bfloat16)
    slow = value_and_gradients(slow_loss, queries, items, targets)
    for found, expected in zip(fast, slow, strict=True):
        assert (found - expected).norm() / expected.norm() < 0.01


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tile_items", [1 << 16, 40])
def test_logits_at_the_bound_need_no_shift(monkeypatch, tile_items, precision):
    monkeypatch.setattr(catalogue_loss, "TILE_ITEMS", tile_items)
    _, items, targets = example(items=1000)
    items = F.normalize(items, dim=1)
    # Each query is parallel to an item, in the same or the opposite direction: the logits reach both bounds.
    queries = items[: len(targets)] * torch.tensor([1.0, -1.0]).repeat(len(targets))[: len(targets), None] * 59
    slow = value_and_gradients(slow_loss, queries, items, targets)
    bound = 0.01 if precision == torch.bfloat16 else 1e-5
    for unshifted in (60.0, 0.0):
        monkeypatch.setattr(catalogue_loss, "MAX_UNSHIFTED", unshifted)
        fast = value_and_gradients(catalogue_cross_entropy, queries, items, targets, precision=precision)
        for found, expected in zip(fast, slow, strict=True):
            assert (found - expected).norm() / expected.norm() < bound


def test_huge_logits_do_not_overflow():
    queries, items, targets = example(scale=1e4)
    assert torch.isfinite(catalogue_cross_entropy(queries, items, targets))


def test_without_gradients_the_value_is_the_same(monkeypatch):
    monkeypatch.setattr(catalogue_loss, "TILE_ITEMS", 40)
    queries, items, targets = example()
    torch.testing.assert_close(catalogue_cross_entropy(queries, items, targets), slow_loss(queries, items, targets))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_only_the_item_gradient_grows_with_the_number_of_items(monkeypatch, precision):
    monkeypatch.setattr(loss_tiles, "TILE_ELEMENTS", {"cpu": 100})
    monkeypatch.setattr(catalogue_loss, "TILE_ITEMS", 40)
    queries, items, targets = example(predictions=7, items=1000)
    queries, items = queries.requires_grad_(), items.requires_grad_()
    with Made() as made:
        (catalogue_cross_entropy(queries, items, targets, precision) * 0.5).backward()
    assert [size for size in made.sizes if size > items.nbytes / 10] == [items.nbytes]
