import pyarrow as pa
import torch

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.nn.user_sequences import Sequences, groups_of_similar_length

ABSENT = 99


def make(*lists):
    lengths = [len(items) for items in lists]
    return Sequences(torch.tensor([item for items in lists for item in items]), torch.tensor([0, *lengths]).cumsum(0))


def test_windows_equal_padded_slices():
    lists = [[1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11, 12]]
    sequences = make(*lists)
    for held_out in (0, 1, 2):
        for width in (1, 3, 7):
            expected = []
            for items in lists:
                kept = items[: len(items) - held_out][-width:]
                expected.append([ABSENT] * (width - len(kept)) + kept)
            found = sequences.windows(torch.arange(3), sequences.ends(held_out), width, ABSENT)
            assert found.tolist() == expected


def test_reads_its_artifact(tmp_path):
    table = pa.table(
        {"user_index": [0, 1], "user": ["a", "b"], "items": [[4, 5, 6], [7]], "timestamps": [[1, 2, 3], [4]]}
    )
    write_table(tmp_path / "sequences.parquet", table, SCHEMAS["sequences"])
    sequences = Sequences.read(tmp_path / "sequences.parquet", torch.device("cpu"))
    assert sequences.items_A.tolist() == [4, 5, 6, 7]
    assert sequences.offsets_U1.tolist() == [0, 3, 4]


def test_groups_hold_every_sequence_once_within_their_bounds():
    torch.manual_seed(0)
    lengths = torch.randint(1, 40, (500,))
    groups = list(groups_of_similar_length(lengths, max_tokens=300, max_padding=0.2))
    assert sorted(row for rows, _ in groups for row in rows.tolist()) == list(range(500))
    for rows, length in groups:
        computed = len(rows) * length
        assert length == lengths[rows].max()
        assert computed <= 300
        assert computed - lengths[rows].sum() <= 0.2 * computed


def test_small_groups_may_hold_more_padding():
    groups = list(groups_of_similar_length(torch.tensor([1, 5, 9]), max_tokens=100, min_tokens=50))
    assert [(rows.tolist(), length) for rows, length in groups] == [([0, 1, 2], 9)]


def test_a_sequence_longer_than_a_group_is_a_group():
    assert [(rows.tolist(), length) for rows, length in groups_of_similar_length(torch.tensor([50, 2]), 10)] == [
        ([1], 2),
        ([0], 50),
    ]


def test_no_sequences_give_no_groups():
    assert list(groups_of_similar_length(torch.tensor([], dtype=torch.long), 10)) == []
