import pytest
import torch

from mmsrec.errors import CheckpointError
from mmsrec.evaluation import tiles, user_vectors
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import rank, rank_by_protocol, rank_vectors
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Recommender
from mmsrec.nn import threads
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.user_sequences import Sequences
from tests.made import Made
from tests.unit.models.examples import MMSREC, TRAINER, text_inputs
from tests.unit.training.examples import walks

ITEMS = 12


class Scripted(Recommender):
    """Scores that depend on the last item, and on a number for items of the history."""

    repeat_score = None

    def __init__(self, scores_II, repeat_score=0.0):
        super().__init__(len(scores_II), longest_history=1)
        self.register_buffer("scores_II", scores_II)
        self.repeat_score = repeat_score

    def encode_items(self, items_K=None):
        return EncodedItems(self.scores_II.T.contiguous())

    def user_vectors(self, items, histories_BL):
        return torch.nn.functional.one_hot(histories_BL[:, -1], self.items).float()


def slow_ranks(sequences, scores, held_out, unseen):
    found = []
    for start, end in zip(sequences.offsets_U1[:-1].tolist(), sequences.ends(held_out).tolist(), strict=True):
        target, history = int(sequences.items_A[end]), set(sequences.items_A[start:end].tolist())
        row = scores[sequences.items_A[end - 1]].tolist()
        pool = [item for item in range(len(row)) if item == target or not (unseen and item in history)]
        better = sum(row[item] > row[target] for item in pool)
        equal = sum(row[item] == row[target] for item in pool)
        found.append((better + (equal + 1) / 2, equal, len(pool)))
    return found


PROTOCOLS = [["all"], ["unseen"], ["all", "unseen"], ["unseen", "all"]]


@pytest.mark.parametrize("tile", [1 << 16, 5])
@pytest.mark.parametrize("protocols", PROTOCOLS, ids="-".join)
@pytest.mark.parametrize("held_out", [1, 2])
def test_counted_ranks_equal_ranks_by_comparison(monkeypatch, held_out, protocols, tile):
    monkeypatch.setattr(tiles, "TILE_ITEMS", tile)
    torch.manual_seed(0)
    scores = torch.randint(0, 5, (ITEMS, ITEMS)).float()  # few values: many ties
    sequences = walks()
    by_protocol = rank_by_protocol(Scripted(scores), sequences, held_out, protocols, top=4, group=7)
    assert list(by_protocol) == protocols
    for protocol, found in by_protocol.items():
        rows = zip(found.rank_U.tolist(), found.ties_U.tolist(), found.candidates_U.tolist(), strict=True)
        assert list(rows) == slow_ranks(sequences, scores, held_out, protocol == "unseen")


@pytest.mark.parametrize("tile", [1 << 16, 5])
@pytest.mark.parametrize("repeat_score", [2.0, -3.0])
@pytest.mark.parametrize("protocols", PROTOCOLS, ids="-".join)
def test_items_of_the_history_have_their_own_score(monkeypatch, protocols, repeat_score, tile):
    monkeypatch.setattr(tiles, "TILE_ITEMS", tile)
    torch.manual_seed(0)
    scores = torch.randint(0, 5, (ITEMS, ITEMS)).float()
    # Histories longer than the catalogue repeat items, and some targets are among them.
    lists = [torch.randint(ITEMS, (length,)) for length in range(3, 40)]
    sequences = Sequences(torch.cat(lists), torch.tensor([0, *map(len, lists)]).cumsum(0))
    by_protocol = rank_by_protocol(Scripted(scores, repeat_score), sequences, 1, protocols, top=ITEMS, group=7)
    for user, (*history, target) in enumerate(items.tolist() for items in lists):
        row = scores[history[-1]].clone()
        row[list(set(history))] += repeat_score
        for protocol, found in by_protocol.items():
            others = set(history) - {target} if protocol == "unseen" else set()
            kept = row[[item for item in range(ITEMS) if item not in others]]
            ties = int((kept == row[target]).sum())
            assert found.rank_U[user] == int((kept > row[target]).sum()) + (ties + 1) / 2
            assert (found.ties_U[user], found.candidates_U[user]) == (ties, len(kept))
        if protocols[0] == "all":
            assert row[by_protocol["all"].top_UK[user]].tolist() == sorted(row.tolist(), reverse=True)


@pytest.mark.parametrize("tile", [1 << 16, 2])
def test_an_item_that_a_user_saw_often_is_removed_once(monkeypatch, tile):
    monkeypatch.setattr(tiles, "TILE_ITEMS", tile)
    # The first user's target is in the history, too, and stays a candidate.
    lists = [torch.tensor([0, 3, 0, 3, 3, 1, 0]), torch.tensor([4, 2])]
    sequences = Sequences(torch.cat(lists), torch.tensor([0, 7, 9]))
    scores = torch.tensor([[1.0, 2.0, 1.0, 3.0, 0.0]]).expand(5, 5).contiguous()
    ranks = rank_by_protocol(Scripted(scores), sequences, 1, ["unseen", "all"], top=2)
    assert ranks["unseen"].candidates_U.tolist() == [3, 4]
    assert ranks["unseen"].rank_U.tolist() == [1.5, 3.5]
    assert ranks["unseen"].ties_U.tolist() == [2, 2]
    assert ranks["all"].rank_U.tolist() == [3.5, 3.5]
    assert set(ranks["unseen"].top_UK[0].tolist()) == {0, 2}


@pytest.mark.parametrize("tile", [1 << 16, 5])
@pytest.mark.parametrize("protocols", PROTOCOLS, ids="-".join)
def test_the_first_protocol_decides_the_top_items(monkeypatch, protocols, tile):
    monkeypatch.setattr(tiles, "TILE_ITEMS", tile)
    torch.manual_seed(0)
    scores = torch.rand(ITEMS, ITEMS)
    sequences = walks()
    found = rank_by_protocol(Scripted(scores), sequences, 1, protocols, top=2)
    expected = []
    for start, end in zip(sequences.offsets_U1[:-1].tolist(), sequences.ends(1).tolist(), strict=True):
        history = set(sequences.items_A[start:end].tolist()) - {int(sequences.items_A[end])}
        ranked = scores[sequences.items_A[end - 1]].argsort(descending=True).tolist()
        hidden = history if protocols[0] == "unseen" else set()
        expected.append([item for item in ranked if item not in hidden][:2])
    assert found[protocols[0]].top_UK.tolist() == expected
    assert all(found[protocol].top_UK.shape[1] == 0 for protocol in protocols[1:])


@pytest.mark.parametrize("tile", [1 << 16, 5])
def test_top_items_have_the_highest_scores(monkeypatch, tile):
    monkeypatch.setattr(tiles, "TILE_ITEMS", tile)
    torch.manual_seed(0)
    scores = torch.rand(ITEMS, ITEMS)
    sequences = walks()
    found = rank(Scripted(scores), sequences, 1, top=4)
    last = sequences.items_A[sequences.ends(1) - 1]
    assert found.top_UK.tolist() == scores[last].argsort(dim=1, descending=True)[:, :4].tolist()


def test_memory_does_not_grow_with_the_number_of_items(monkeypatch):
    monkeypatch.setattr(threads, "MOST", 1)  # `Made` sees its own thread
    monkeypatch.setattr(tiles, "TILE_ITEMS", 40)
    largest = []
    for items in (100, 1000):
        queries, vectors, targets = torch.rand(20, 16), torch.rand(items, 16), torch.arange(20)
        with Made() as made:
            rank_vectors(queries, vectors, targets, group=7)
        largest.append(max(made.sizes))
    assert largest[0] == largest[1]


def test_a_constant_model_scores_as_chance():
    found = rank(Scripted(torch.zeros(ITEMS, ITEMS)), walks(), 1)
    measured = metrics(found.rank_U.numpy(), found.ties_U.numpy(), [1, 5])
    assert measured == pytest.approx(chance(found.candidates_U.numpy(), [1, 5]))
    assert measured["recall@5"] == pytest.approx(5 / ITEMS)


def test_a_model_that_knows_the_next_item_scores_one():
    # Users walk through the items in order, so the next item is known.
    found = rank(Scripted(torch.eye(ITEMS).roll(1, dims=1)), walks(), 1)
    measured = metrics(found.rank_U.numpy(), found.ties_U.numpy(), [1])
    assert measured == {"recall@1": 1.0, "ndcg@1": 1.0, "mrr": 1.0}


@pytest.fixture
def towers():
    """An untrained model of features, and sequences of its items."""
    torch.manual_seed(0)
    items = 500
    return MMSRec(text_inputs(torch.randn(items, 20)), MMSREC, TRAINER), walks(users=300, items=items)


@pytest.mark.parametrize("group", [1, 33, 256, 1000])
def test_the_group_size_does_not_change_ranks(monkeypatch, towers, group):
    model, sequences = towers
    usual = rank(model, sequences, 1, top=5)
    monkeypatch.setattr(user_vectors, "GROUP_POSITIONS", {"cpu": 7 * group})
    found = rank(model, sequences, 1, top=5, group=group)
    assert torch.equal(found.rank_U, usual.rank_U)
    assert torch.equal(found.top_UK, usual.top_UK)


def test_threads_do_not_change_ranks(towers, threads):
    shared = rank(*towers, 1, top=5, group=32)
    torch.set_num_threads(1)
    alone = rank(*towers, 1, top=5, group=32)
    assert torch.equal(shared.rank_U, alone.rank_U)
    assert torch.equal(shared.top_UK, alone.top_UK)


def test_the_order_of_users_does_not_change_their_ranks():
    sequences = walks(users=50)
    lists = sequences.items_A.split(sequences.offsets_U1.diff().tolist())
    backwards = Sequences(torch.cat(lists[::-1]), torch.tensor([0, *(len(items) for items in lists[::-1])]).cumsum(0))
    torch.manual_seed(0)
    model = Scripted(torch.rand(ITEMS, ITEMS))
    assert torch.equal(rank(model, backwards, 1, group=8).rank_U.flip(0), rank(model, sequences, 1, group=8).rank_U)


@pytest.mark.parametrize("per_octave", [1, 8])
def test_widths_hold_their_lengths_with_little_padding(per_octave):
    lengths = torch.arange(1, 300)
    widths = user_vectors._widths(lengths, per_octave)
    assert (widths >= lengths).all()
    assert (widths - lengths <= lengths / per_octave).all()
    assert len(widths.unique()) <= 10 * per_octave


def test_the_few_widths_of_a_gpu_change_no_rank(monkeypatch, towers):
    usual = rank(*towers, 1, top=5)
    monkeypatch.setitem(user_vectors.WIDTHS, "cpu", user_vectors.WIDTHS["cuda"])
    found = rank(*towers, 1, top=5)
    assert torch.equal(found.rank_U, usual.rank_U)


@pytest.mark.parametrize("items", [5, 160, 171, 1000])
@pytest.mark.parametrize("top", [0, 1, 5])
def test_the_best_items_by_columns_equal_a_full_sort(items, top):
    scores = torch.rand(6, items, generator=torch.Generator().manual_seed(0))
    values, places = tiles.best_of_tile(scores, top)
    expected = scores.sort(dim=1, descending=True)
    assert torch.equal(values, expected.values[:, :top])
    assert torch.equal(places, expected.indices[:, :top])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("side", ["user", "item"])
def test_scores_that_are_not_finite_are_refused(bad, side):
    queries, items = torch.ones(3, 2), torch.ones(4, 2)
    (queries if side == "user" else items)[2, 1] = bad
    if bad == 1e30:
        (items if side == "user" else queries)[0] = bad
    with pytest.raises(CheckpointError, match="not finite") as caught:
        rank_vectors(queries, items, torch.tensor([0, 1, 2]))
    assert bad == 1e30 or f"the vector of {side} 2" in str(caught.value)
