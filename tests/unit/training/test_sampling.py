import pytest
import torch

from mmsrec.nn import loss_tiles
from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from mmsrec.nn.predictions import Negatives, Predictions
from mmsrec.nn.sampled_loss import sampled_cross_entropy
from mmsrec.training.runtime import generator_of
from mmsrec.training.sampling import NegativeSampler, with_step_items
from tests.unit.nn.test_user_sequences import make
from tests.unit.training.examples import walks

ITEMS = 12


def sampler(count, sequences=None):
    sequences = sequences or walks()
    return NegativeSampler(sequences, sequences.ends(2), ITEMS, count)


def test_draws_are_proportional_to_counts_plus_one():
    sequences = make([0, 0, 0, 1, 2, 2], [5, 1, 1, 7, 8])
    expected = torch.ones(ITEMS)
    for item in (0, 0, 0, 1, 5, 1, 1):
        expected[item] += 1
    drawn = sampler(200_000, sequences).draw(generator_of(0))
    found = torch.bincount(drawn.items_S, minlength=ITEMS) / len(drawn.items_S)
    torch.testing.assert_close(found, expected / expected.sum(), atol=0.004, rtol=0)
    torch.testing.assert_close(drawn.log_expected_S.exp(), (expected / expected.sum() * 200_000)[drawn.items_S])


def test_the_expected_sum_of_exponentials_is_the_sum_over_all_items():
    torch.manual_seed(0)
    queries, items, targets = torch.randn(3, 4), torch.randn(ITEMS, 4), torch.tensor([1, 5, 11])
    true_totals = (queries @ items.T).exp().sum(1)
    target_logits = (queries * items[targets]).sum(1)
    draws, totals = sampler(8), []
    for number in range(4000):
        losses = torch.stack(
            [
                sampled_cross_entropy(query[None], items, target[None], draws.draw(generator_of(number)))
                for query, target in zip(queries, targets, strict=True)
            ]
        )
        totals.append((losses + target_logits).exp())
    torch.testing.assert_close(torch.stack(totals).mean(0), true_totals, rtol=0.05, atol=0)


def test_with_every_item_drawn_once_the_loss_is_the_softmax_over_all_items():
    torch.manual_seed(0)
    queries, items, targets = torch.randn(5, 4), torch.randn(ITEMS, 4), torch.randint(ITEMS, (5,))
    everything = Negatives(torch.arange(ITEMS), torch.zeros(ITEMS))
    torch.testing.assert_close(
        sampled_cross_entropy(queries, items, targets, everything), catalogue_cross_entropy(queries, items, targets)
    )


def slow_loss(queries, items, targets, negatives):
    total = 0.0
    for query, target in zip(queries, targets.tolist(), strict=True):
        logit = query @ items[target]
        others = [
            query @ items[item] - expected
            for item, expected in zip(negatives.items_S.tolist(), negatives.log_expected_S, strict=True)
            if item != target
        ]
        total = total + torch.stack([logit, *others]).logsumexp(0) - logit
    return total


@pytest.mark.parametrize("tile", [1, 20, 1 << 22])
def test_value_and_gradients_equal_the_plain_loss(monkeypatch, tile):
    monkeypatch.setitem(loss_tiles.TILE_ELEMENTS, "cpu", tile)
    torch.manual_seed(0)
    leaves = [torch.randn(7, 4, requires_grad=True), torch.randn(ITEMS, 4, requires_grad=True)]
    targets, draws = torch.randint(ITEMS, (7,)), sampler(9).draw(generator_of(3))
    found, expected = (loss(*leaves, targets, draws) for loss in (sampled_cross_entropy, slow_loss))
    torch.testing.assert_close(found, expected)
    pairs = zip(torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True)
    for gradient, expected_gradient in pairs:
        torch.testing.assert_close(gradient, expected_gradient)


def test_bfloat16_products_change_the_loss_little():
    torch.manual_seed(0)
    queries, items, targets = 3 * torch.randn(50, 16), torch.randn(ITEMS, 16), torch.randint(ITEMS, (50,))
    draws = sampler(9).draw(generator_of(3))
    exact, reduced = (
        sampled_cross_entropy(queries, items, targets, draws, precision)
        for precision in (torch.float32, torch.bfloat16)
    )
    torch.testing.assert_close(exact, reduced, rtol=0.01, atol=0)


def test_draws_of_the_target_are_left_out():
    queries, items, target = torch.randn(1, 4), torch.randn(ITEMS, 4), torch.tensor([3])
    with_it = Negatives(torch.tensor([1, 3, 3]), torch.zeros(3))
    without = Negatives(torch.tensor([1]), torch.zeros(1))
    assert sampled_cross_entropy(queries, items, target, with_it) == pytest.approx(
        sampled_cross_entropy(queries, items, target, without).item()
    )


def test_renumbered_indices_name_the_same_items():
    mask, absent = ITEMS, ITEMS + 1
    inputs = torch.tensor([[absent, 7, mask], [9, 2, mask]])
    group = Predictions(inputs, torch.tensor([0, 1]), torch.tensor([2, 2]), torch.tensor([4, 9]))
    negatives = Negatives(torch.tensor([11, 2, 11]), torch.zeros(3))
    [placed], items = with_step_items([group], negatives, ITEMS)
    assert items.tolist() == [2, 4, 7, 9, 11]
    names = torch.cat([items, torch.tensor([mask, absent])])
    assert torch.equal(names[placed.inputs_BL], inputs)
    assert torch.equal(items[placed.targets_P], group.targets_P)
    assert torch.equal(items[placed.negatives.items_S], negatives.items_S)
