import pytest
import torch

from mmsrec.nn.contrastive_loss import contrastive_terms, views_of
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items, encode_views
from mmsrec.settings.pretraining import Weights
from mmsrec.training.distributed import Processes
from mmsrec.training.pretrain_step import CHUNK, means, train_step
from mmsrec.training.runtime import seed_everything
from tests.unit.training.examples import PRETRAINING
from tests.unit.training.pairs import batch

ALONE = Processes(torch.device("cpu"))
ITEMS = Items.of(batch(23, missing=5), ALONE.device)
KEY = (7, 1, 0)


def encoder(settings=PRETRAINING):
    seed_everything(7, 0)
    return ItemEncoder({"vision": 10, "text": 8}, settings).train()


def gradients_of_a_step(settings, monkeypatch, chunk):
    monkeypatch.setitem(CHUNK, "cpu", chunk)
    network = encoder(settings)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    settings = settings.model_copy(update={"clip_norm": 1e9})
    sums = train_step(network, optimizer, ITEMS, settings, KEY, ALONE)
    return sums, [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("chunk", [1, 7, 23, 500])
@pytest.mark.parametrize(
    "weights", [Weights(vv=0.1, tt=0.2, vt=0.3, both=0.4), Weights(vv=1.0, tt=0.0, vt=0.0, both=0.0)]
)
def test_a_step_in_chunks_has_the_gradient_of_the_whole_batch(monkeypatch, chunk, weights):
    settings = PRETRAINING.model_copy(update={"embedding_dropout": 0.0, "hidden_dropout": 0.0, "weights": weights})
    network = encoder(settings)
    views = encode_views(network, ITEMS, views_of(weights))
    loss = sum(term.share for term in contrastive_terms(views, ITEMS.present, settings))
    loss.backward()

    sums, gradients = gradients_of_a_step(settings, monkeypatch, chunk)

    assert means(sums, settings)["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for gradient, parameter in zip(gradients, network.parameters(), strict=True):
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        # The norm, because a single component may be a small difference of large numbers.
        assert (gradient - expected).norm() <= 1e-5 * expected.norm()


RELEASED = {"final_norm": True, "output_norm": "modality", "item_position": "first"}


@pytest.mark.parametrize(
    "changes",
    [
        {"missing": "mask_token"},
        {"missing": "drop"},
        {"missing": "drop", "attention_dropout": 0.5, "feedforward_dropout": 0.5, **RELEASED},
    ],
)
def test_both_passes_of_a_chunk_have_the_same_dropout(monkeypatch, changes):
    settings = PRETRAINING.model_copy(update={"hidden_dropout": 0.5, **changes})
    sums, gradients = gradients_of_a_step(settings, monkeypatch, 10)

    network = encoder(settings)
    parts = []
    for start in (0, 10, 20):
        seed_everything(*KEY, start)
        parts.append(encode_views(network, ITEMS.rows(slice(start, start + 10)), views_of(settings.weights)))
    views = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    loss = sum(term.share for term in contrastive_terms(views, ITEMS.present, settings))
    loss.backward()

    assert means(sums, settings)["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for gradient, parameter in zip(gradients, network.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


def test_bfloat16_gradients_differ_by_rounding_only(monkeypatch):
    settings = PRETRAINING.model_copy(update={"embedding_dropout": 0.0, "hidden_dropout": 0.0})
    exact, gradients = gradients_of_a_step(settings, monkeypatch, 500)
    near, rounded = gradients_of_a_step(settings.model_copy(update={"precision": "bfloat16"}), monkeypatch, 500)
    assert means(near, settings)["loss"] == pytest.approx(means(exact, settings)["loss"], rel=0.02)
    whole, near_whole = (torch.cat([part.flatten() for part in parts]) for parts in (gradients, rounded))
    assert (whole - near_whole).norm() / whole.norm() < 0.1


def test_a_step_returns_the_numbers_of_its_pairs_and_anchors(monkeypatch):
    sums, _ = gradients_of_a_step(PRETRAINING, monkeypatch, 500)
    assert sums["pairs"] == 23
    assert sums["vv anchors"] == int(ITEMS.present["vision"].sum()) < 23
    assert sums["vt anchors"] == int((ITEMS.present["vision"] & ITEMS.present["text"]).sum())


def test_means_divide_by_the_anchors_and_leave_out_terms_without_any():
    sums = {"pairs": 10, "vv": 10.0, "vv anchors": 5, "tt": 0.0, "tt anchors": 0}
    assert means(sums, PRETRAINING) == {"vv": 2.0, "loss": 0.5}
