import pytest
import torch

from mmsrec.nn.attention_mask import attention_mask
from mmsrec.nn.packing import Packing, RowSelection, last_place_packing, padded, rounded
from mmsrec.nn.transformer import Transformer

CPU = torch.device("cpu")


def test_rounded_counts_are_few_and_at_most_an_eighth_larger():
    counts = [rounded(rows, CPU) for rows in range(1, 5000)]
    assert all(0 <= count - rows <= rows / 8 for rows, count in enumerate(counts, start=1))
    assert len(set(counts)) < 100


def test_padding_rows_are_zero():
    assert padded(torch.ones(2, 3), 5).tolist() == [[1.0] * 3] * 2 + [[0.0] * 3] * 3
    assert len(padded(torch.ones(5), 2)) == 5


def test_a_row_selection_passes_each_gradient_to_its_source_row_alone():
    x = torch.randn(4, 3, requires_grad=True)
    selected = RowSelection(torch.tensor([2, 0, 0]), torch.tensor([1, -1, 0, -1])).select(x)
    assert torch.equal(selected, x[[2, 0, 0]])
    gradient = torch.randn(3, 3)
    selected.backward(gradient)
    assert torch.equal(x.grad, torch.stack([gradient[1], torch.zeros(3), gradient[0], torch.zeros(3)]))


def sequences(sequences=7, length=6, share=0.5):
    """Sequences with padding at the left; a share of the items and every last item are predicted from."""
    lengths = torch.randint(1, length + 1, (sequences, 1))
    exists = torch.arange(length) >= length - lengths
    predicted = exists & (torch.rand(sequences, length) < share)
    predicted[:, -1] = True
    return exists, *torch.nonzero(predicted, as_tuple=True)


def test_packing_and_unpacking_keep_the_items():
    torch.manual_seed(0)
    exists, rows, columns = sequences()
    packing, x = Packing(exists, rows, columns), torch.randn(*exists.shape, 2, 3)
    packed = packing.pack(x)
    count = int(exists.sum())
    assert torch.equal(packed[:count], x[exists])
    assert torch.equal(packing.unpack(packed)[exists], x[exists])
    assert torch.equal(packing.predicted_from_rows(packed)[: len(rows)], x[rows, columns])
    assert torch.equal(packing.predicted_from_places(x)[: len(rows)], x[rows, columns])


@pytest.mark.parametrize("per_item", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.95])
def test_predicted_states_and_gradients_equal_a_padded_computation(per_item, causal, missing, share):
    torch.manual_seed(0)
    network = Transformer(8, 3, 2, 16, 0.5).eval()
    exists, rows, columns = sequences(share=share)
    read = exists[..., None].expand(-1, -1, per_item).clone()
    if missing:
        read &= torch.rand(read.shape) < 0.7
        read[:, -1, 0] = True
    x = torch.randn(*exists.shape, per_item, 8, requires_grad=True)
    mask = attention_mask(read.flatten(1), read[0].numel(), per_item if causal else 0, CPU)
    packing = Packing(exists, rows, columns)
    assert (packing.grid is None) == (share > 0.5)
    expected = network(x.flatten(1, 2), mask).unflatten(1, (-1, per_item))[rows, columns]
    found = network.predicted(packing.pack(x), mask, packing)[: packing.predictions]
    torch.testing.assert_close(found, expected)
    scale = torch.randn_like(expected)
    inputs = [x, *network.parameters()]
    gradients = [torch.autograd.grad((states * scale).sum(), inputs, retain_graph=True) for states in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_states_of_the_last_place_equal_a_computation_of_all_places(causal):
    torch.manual_seed(0)
    network, shown = Transformer(8, 2, 2, 16, 0.5).eval(), torch.rand(5, 4, 2) < 0.8
    shown[:, -1] = True
    x = torch.randn(5, 4, 2, 8)
    mask = attention_mask(shown.flatten(1), 8, 2 if causal else 0, CPU)
    packing = last_place_packing(5, 4, CPU)
    expected = network(x.flatten(1, 2), mask).view(5, 4, 2, 8)[:, -1]
    torch.testing.assert_close(network.predicted(packing.pack(x), mask, packing)[:5], expected)
