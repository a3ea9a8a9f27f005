import pytest
import torch
from torch.nn import functional as F

from mmsrec.nn import catalogue_loss, loss_tiles
from mmsrec.nn.contrastive_loss import TERMS, VIEWS, compared, contrastive_terms, views_of
from mmsrec.settings.pretraining import Weights
from tests.unit.training.examples import PRETRAINING

WEIGHTS = {"vv": 0.1, "tt": 0.2, "vt": 0.3, "both": 0.4}
SETTINGS = PRETRAINING.model_copy(update={"weights": Weights(**WEIGHTS), "temperature": 0.05})


def oracle(views, present):
    """Equations 5 and 6, item by item, in float64."""
    loss = 0.0
    for name, (first, second) in TERMS.items():
        needed = set(VIEWS[first] + VIEWS[second])
        rows = [row for row in range(len(views["v"])) if all(present[modality][row] for modality in needed)]
        x, y = views[first].double()[rows], views[second].double()[rows]
        for one, other in ((x, y), (y, x)):
            logits = F.cosine_similarity(one[:, None], other[None], dim=2) / SETTINGS.temperature
            loss = loss - WEIGHTS[name] * logits.log_softmax(1).diagonal().mean()
    return loss


def example(pairs=23, dim=8, missing=True):
    torch.manual_seed(0)
    views = {name: F.normalize(torch.randn(pairs, dim), dim=1) for name in VIEWS}
    present = {name: torch.ones(pairs, dtype=torch.bool) for name in ("vision", "text")}
    if missing:
        present["vision"][[0, 4, 22]] = False
        present["text"][[4, 5, 21]] = False
    return views, present


def value_and_gradients(loss_of, views):
    leaves = {name: x.clone().requires_grad_() for name, x in views.items()}
    loss = loss_of(leaves)
    loss.backward()
    return loss.detach().double(), {name: x.grad for name, x in leaves.items()}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("elements", "tile_items"), [(1 << 20, 1 << 16), (23 * 5, 1 << 16), (7 * 3, 7), (1, 1)])
def test_value_and_gradients_equal_the_equations(monkeypatch, elements, tile_items, missing):
    monkeypatch.setattr(loss_tiles, "TILE_ELEMENTS", {"cpu": elements})
    monkeypatch.setattr(catalogue_loss, "TILE_ITEMS", tile_items)
    views, present = example(missing=missing)

    loss, gradients = value_and_gradients(
        lambda x: sum(term.share for term in contrastive_terms(x, present, SETTINGS)), views
    )
    expected, expected_gradients = value_and_gradients(lambda x: oracle(x, present), views)

    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for name in VIEWS:
        # The oracle normalises: its gradient has no part along the vector.
        along = (gradients[name] * views[name]).sum(1, keepdim=True) * views[name]
        torch.testing.assert_close(gradients[name] - along, expected_gradients[name], rtol=1e-4, atol=1e-5)


def test_items_without_a_modality_are_neither_anchors_nor_negatives():
    views, present = example()
    changed = {name: x.clone() for name, x in views.items()}
    changed["t"][5] = changed["t'"][21] = changed["vt"][4] = changed["v"][0] = 7.0

    before = {term.name: term.total for term in contrastive_terms(views, present, SETTINGS)}
    after = {term.name: term.total for term in contrastive_terms(changed, present, SETTINGS)}

    assert before == after
    assert {name: int(compared(name, present).sum()) for name in TERMS} == {"vv": 20, "tt": 20, "vt": 18, "both": 18}


def test_the_shares_of_all_anchors_add_up_to_the_loss():
    views, present = example()
    anchors = {name: int(compared(name, present).sum()) for name in TERMS}
    whole = sum(term.share for term in contrastive_terms(views, present, SETTINGS))
    parts = (slice(0, 5), slice(5, 5), slice(5, 23))
    shares = [term.share for own in parts for term in contrastive_terms(views, present, SETTINGS, own, anchors)]
    torch.testing.assert_close(sum(shares), whole)


def test_a_term_of_weight_zero_is_not_computed():
    views, present = example()
    settings = SETTINGS.model_copy(update={"weights": Weights(**WEIGHTS | {"vv": 0.0, "both": 0.0})})
    assert views_of(settings.weights) == ["v", "t", "t'"]
    assert [term.name for term in contrastive_terms(views, present, settings)] == ["tt", "vt"]


def test_without_any_text_only_the_views_of_vision_are_compared():
    views, present = example(missing=False)
    present["text"][:] = False
    assert [term.name for term in contrastive_terms(views, present, SETTINGS)] == ["vv"]
