import pytest
import torch
from torch.nn import functional as F

from mmsrec.nn import loss_tiles
from mmsrec.nn.multi_label_loss import multi_label_loss
from tests.made import Made

PLACES, LABELS, DIM = 300, 37, 8


def problem(places=PLACES, scale=1.0):
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(places, DIM, generator=generator) * scale
    labels = torch.randn(LABELS, DIM, generator=generator) * scale
    true = torch.rand(places, LABELS, generator=generator) < 0.1
    return queries.requires_grad_(), labels.requires_grad_(), true


def slow(queries, labels, true):
    """One row of zeros and ones for each place."""
    return F.binary_cross_entropy_with_logits(queries @ labels.T, true.float(), reduction="sum")


@pytest.mark.parametrize("scale", [1.0, 30.0], ids=["small logits", "logits of thousands"])
@pytest.mark.parametrize("rows", [1 << 9, 64, 7])
def test_loss_and_gradients_equal_a_table_of_zeros_and_ones(monkeypatch, rows, scale):
    monkeypatch.setitem(loss_tiles.TILE_ROWS, "cpu", rows)
    queries, labels, true = problem(scale=scale)
    expected = slow(queries, labels, true)
    gradients = torch.autograd.grad(3 * expected, (queries, labels))
    found = multi_label_loss(queries, labels, *true.nonzero(as_tuple=True))
    torch.testing.assert_close(found, expected)
    for gradient, other in zip(torch.autograd.grad(3 * found, (queries, labels)), gradients, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)


def test_places_without_a_true_label_and_no_places_at_all():
    queries, labels, true = problem()
    none = torch.zeros(0, dtype=torch.long)
    torch.testing.assert_close(multi_label_loss(queries, labels, none, none), slow(queries, labels, true & False))
    empty = multi_label_loss(queries[:0], labels, none, none)
    assert empty.item() == 0
    assert torch.autograd.grad(empty, labels)[0].abs().sum() == 0


def test_neither_logits_nor_true_labels_of_all_places_are_in_memory(monkeypatch):
    monkeypatch.setitem(loss_tiles.TILE_ROWS, "cpu", 64)
    queries, labels, true = problem(places=64 * 50)
    pairs = true.nonzero(as_tuple=True)
    with Made() as made:
        multi_label_loss(queries, labels, *pairs).backward()
    assert max(made.sizes) < true.numel() * 4 / 2
