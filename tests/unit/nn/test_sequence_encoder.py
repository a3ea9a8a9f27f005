import math

import pytest
import torch

from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.sequence_encoder import TOGETHER, PositionedInput, SequenceEncoder
from mmsrec.nn.transformer import Transformer

ITEMS, TOKENS, DIM, LENGTH = 9, 2, 8, 6
PADDING = ITEMS + 1


def encoder(causal, positions):
    torch.manual_seed(0)
    embed, transformer = PositionedInput(DIM, LENGTH, 0.5, eps=1e-5), Transformer(DIM, 2, 2, 16, 0.5)
    sequences = SequenceEncoder(
        embed.eval(), transformer.eval(), causal, torch.float32, positions=positions, pool=first_and_read
    )
    table = torch.randn(ITEMS + 1, TOKENS, DIM)
    read = torch.rand(ITEMS + 1, TOKENS) < 0.7
    read[:, 0] = True
    return sequences, EncodedItems(table[:-1, 0], table, read)


def first_and_read(hidden, read):
    return torch.cat([hidden[:, 0], torch.ones(len(hidden), TOKENS) if read is None else read.float()], dim=1)


def slow_vectors(sequences, items, history):
    """The vectors of every place of one history without padding, token by token."""
    length = len(history)
    order = range(length)
    positions = torch.tensor([length - 1 - place if sequences.positions == "end" else place for place in order])
    tokens = sequences.embed(items.table[history], positions).flatten(0, 1)
    item = [token // TOKENS for token in range(len(tokens))]
    read = items.read[history].flatten()
    mask = torch.tensor(
        [
            [bool(read[key]) and (not sequences.causal or item[key] <= item[query]) for key in range(len(tokens))]
            for query in range(len(tokens))
        ]
    )
    if sequences.causal:
        mask |= torch.eye(len(tokens), dtype=torch.bool)
    hidden = sequences.transformer(tokens[None], mask)[0].unflatten(0, (length, TOKENS))
    return first_and_read(hidden, items.read[history])


@pytest.mark.parametrize("positions", ["end", "start"])
@pytest.mark.parametrize("causal", [False, True])
def test_vectors_equal_a_computation_history_by_history(causal, positions):
    sequences, items = encoder(causal, positions)
    histories = [torch.tensor([3, 1, 4, 1, 5, 9]), torch.tensor([2]), torch.tensor([6, 0, 9])]
    inputs = torch.full((3, LENGTH), PADDING)
    for row, history in enumerate(histories):
        inputs[row, LENGTH - len(history) :] = history
    expected = [slow_vectors(sequences, items, history) for history in histories]
    rows, columns = torch.nonzero(inputs < PADDING, as_tuple=True)
    torch.testing.assert_close(sequences.at_places(items, inputs, rows, columns), torch.cat(expected))
    few = torch.tensor([0, 4, 6, 9])
    torch.testing.assert_close(sequences.at_places(items, inputs, rows[few], columns[few]), torch.cat(expected)[few])
    last = torch.stack([vectors[-1] for vectors in expected])
    torch.testing.assert_close(sequences.at_last_place(items, inputs), last)


@pytest.mark.parametrize("together", [(math.inf, math.inf), (6, 2)])
def test_vectors_of_sequences_in_groups_are_those_of_their_last_places(monkeypatch, together):
    monkeypatch.setitem(TOGETHER, "cpu", together)
    sequences, items = encoder(True, "start")
    lengths = torch.tensor([6, 1, 3, 6, 2, 1])
    inputs = torch.randint(ITEMS, (6, LENGTH))
    inputs[torch.arange(LENGTH) < LENGTH - lengths[:, None]] = PADDING
    expected = sequences.at_last_place(items, inputs)
    torch.testing.assert_close(sequences.of_sequences(items, inputs), expected)


def test_items_of_one_token_need_no_token_axis_and_no_table_of_their_own():
    sequences, items = encoder(True, "end")
    inputs = torch.tensor([[PADDING, 3, 1], [2, 7, 5]])
    with_axis = EncodedItems(items.vectors_KD, items.vectors_KD[:, None])
    without = EncodedItems(items.vectors_KD)
    one_token = SequenceEncoder(sequences.embed, sequences.transformer, True, torch.float32)
    found = [one_token.at_last_place(each, inputs) for each in (with_axis, without)]
    assert torch.equal(*found)
    assert found[0].shape == (2, DIM)
