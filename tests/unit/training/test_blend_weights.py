"""The weights of a blend against a slow search by gradients, on parts whose scores are given."""

import pytest
import torch
from torch import Tensor

from mmsrec.models.blend import Blend
from mmsrec.models.recommender import Recommender
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.user_sequences import Sequences
from mmsrec.training import blend_weights
from mmsrec.training.blend_weights import RIDGE, fit_weights
from tests.unit.training.examples import walks

ITEMS, HELD_OUT = 12, 2


class Table(Recommender):
    """A model whose score depends on the latest item and the candidate alone."""

    def __init__(self, scores_II: Tensor) -> None:
        super().__init__(len(scores_II), longest_history=1)
        self.register_buffer("scores_II", scores_II)

    def encode_items(self, items_K=None):
        return EncodedItems(torch.eye(self.items)[slice(None) if items_K is None else items_K])

    def user_vectors(self, items, histories_BL):
        return self.scores_II[histories_BL[:, -1]]


def tables(seed=0):
    """A part that knows the next item of a walk in some rows, one of noise, and one that prefers the latest item."""
    generator = torch.Generator().manual_seed(seed)
    following = torch.eye(ITEMS).roll(1, 1) * (torch.arange(ITEMS) % 3 > 0)[:, None]
    noise = [torch.randn(ITEMS, ITEMS, generator=generator) for _ in range(3)]
    return [2 * following + noise[0], noise[1], 5 * torch.eye(ITEMS) + noise[2]]


def fitted_blend(parts, sequences, users=1000, known_K=None):
    blend = Blend([Table(part) for part in parts])
    fit_weights(blend, sequences, users, known_K)
    return blend


def fitted(*args, **kwargs):
    return fitted_blend(*args, **kwargs).weights_P


def searched(parts, sequences, hidden=()):
    """The best weights by LBFGS in float64, one user after another, with the ridge of the module."""
    scores_PII = torch.stack(parts).double()
    rows = []
    for user in range(sequences.users):
        start, end = int(sequences.offsets_U1[user]), int(sequences.ends(HELD_OUT)[user])
        history, target = sequences.items_A[start:end].tolist(), int(sequences.items_A[end])
        shown = [item for item in range(ITEMS) if item == target or item not in {*history, *hidden}]
        rows.append((scores_PII[:, history[-1]][:, shown], shown.index(target)))

    def loss(weights_P, ridge_P=0.0):
        likelihood = sum((weights_P @ scores_PK).log_softmax(0)[place] for scores_PK, place in rows) / len(rows)
        return (ridge_P * weights_P**2).sum() / 2 - likelihood

    start_P = torch.zeros(len(parts), dtype=torch.float64)
    ridge_P = RIDGE * torch.autograd.functional.hessian(loss, start_P).diagonal()
    weights_P = start_P.clone().requires_grad_()
    search = torch.optim.LBFGS([weights_P], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        search.zero_grad()
        value = loss(weights_P, ridge_P)
        value.backward()
        return value

    search.step(closure)
    return weights_P.detach().float()


def test_the_weights_are_those_of_a_slow_search():
    sequences = walks(users=200, items=ITEMS)
    torch.testing.assert_close(fitted(tables(), sequences), searched(tables(), sequences), rtol=0.01, atol=0.005)


def test_groups_of_users_and_threads_change_no_byte(monkeypatch):
    sequences = walks(users=200, items=ITEMS)
    monkeypatch.setattr(blend_weights, "SCORES", 7 * ITEMS)
    before = torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(fitted(tables(), sequences))
    torch.set_num_threads(before)
    assert torch.equal(*found)


def test_the_scale_of_a_part_does_not_change_the_blend():
    sequences, (good, *others) = walks(users=200, items=ITEMS), tables()
    first, second = fitted([good, *others], sequences), fitted([100 * good, *others], sequences)
    torch.testing.assert_close(second * torch.tensor([100.0, 1.0, 1.0]), first, rtol=0.01, atol=0.005)


def test_equal_parts_share_a_weight_and_a_part_that_knows_all_has_a_finite_one():
    sequences, (good, *_) = walks(users=200, items=ITEMS), tables()
    weights_P = fitted([good, good], sequences)
    torch.testing.assert_close(weights_P[0], weights_P[1], rtol=1e-3, atol=1e-3)
    assert weights_P[0] > 0.1
    assert fitted([torch.eye(ITEMS).roll(1, 1), good], sequences).isfinite().all()


def test_items_that_training_does_not_know_are_no_candidates():
    sequences = walks(users=200, items=ITEMS)
    places = sequences.ends(HELD_OUT)
    kept = sequences.of_users(torch.nonzero(sequences.items_A[places] != 5).flatten())
    known_K = torch.tensor([item for item in range(ITEMS) if item != 5])
    loud = [part.index_fill(1, torch.tensor([5]), 50.0) for part in tables()]
    found = fitted(loud, kept, known_K=known_K)
    torch.testing.assert_close(found, searched(loud, kept, hidden=[5]), rtol=0.01, atol=0.005)


def test_a_part_without_preferences_has_no_weight():
    sequences, (good, *_) = walks(users=200, items=ITEMS), tables()
    weights_P = fitted([good, torch.ones(ITEMS, ITEMS)], sequences)
    torch.testing.assert_close(weights_P, torch.tensor([float(fitted([good], sequences)), 0.0]), rtol=1e-4, atol=1e-4)


def probabilities_of_repeats(blend, sequences, known):
    """The probability of a repeat of each user, by a softmax over the known items, and the number of repeats."""
    found, repeats = [], 0
    for user in range(sequences.users):
        start, end = int(sequences.offsets_U1[user]), int(sequences.ends(HELD_OUT)[user])
        history = sequences.items_A[start:end]
        shares = blend.scores(history[None])[0, known].double().softmax(0)
        found.append(sum(share for item, share in zip(known, shares, strict=True) if item in history.tolist()))
        repeats += int(sequences.items_A[end] in history)
    return torch.stack(found), repeats


@pytest.mark.parametrize("known", [range(ITEMS), range(3, ITEMS)])
@pytest.mark.parametrize("again", [0.0, 0.3, 0.8, 1.0])
def test_repeats_are_as_likely_as_they_are_frequent(again, known):
    generator = torch.Generator().manual_seed(3)
    lists = []
    for user in range(60):
        history = torch.randint(known[0], ITEMS - 2, (1 + user % 4,), generator=generator)
        left = torch.tensor([item for item in known if item not in history])
        pool = history if float(torch.rand(1, generator=generator)) < again else left
        lists.append(torch.cat([history, pool[torch.randint(len(pool), (1,), generator=generator)], history[:1]]))
    sequences = Sequences(torch.cat(lists), torch.tensor([0, *map(len, lists)]).cumsum(0))
    blend = fitted_blend(tables(), sequences, known_K=torch.tensor(known))
    found_U, repeats = probabilities_of_repeats(blend, sequences, known)
    assert {0.0: repeats == 0, 1.0: repeats == 60}.get(again, 0 < repeats < 60)
    assert float(found_U.mean()) == pytest.approx((repeats + 0.5) / 61, rel=1e-4)


def test_a_user_who_has_seen_all_items_says_nothing_of_repeats():
    every, target = torch.arange(ITEMS), torch.zeros(2, dtype=torch.long)
    alone = Sequences(torch.cat([every, target]), torch.tensor([0, ITEMS + 2]))
    assert fitted_blend(tables(), alone).repeat_score == 0
    walkers = walks(users=50, items=ITEMS)
    both = Sequences(
        torch.cat([walkers.items_A, alone.items_A]),
        torch.cat([walkers.offsets_U1, alone.offsets_U1[1:] + walkers.offsets_U1[-1]]),
    )
    assert torch.isfinite(fitted_blend(tables(), both).repeat)


@pytest.mark.parametrize("users", [1, 7, 40, 41])
def test_users_are_read_at_even_distances_up_to_all(users, monkeypatch):
    read = []

    def observed(part, own, few, ends_U):
        read.append(few)
        return torch.ones(few.users, ITEMS)

    monkeypatch.setattr(blend_weights, "user_vectors", observed)
    sequences = walks(users=40, items=ITEMS)
    fitted(tables()[:1], sequences, users)
    assert read[0].users == min(users, 40)
    assert read[0].items_A[0] == sequences.items_A[0]
    assert users == 1 or read[0].items_A[-1] == sequences.items_A[-1]
