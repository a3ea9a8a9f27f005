import numpy as np
import pytest
import torch

from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn.contrastive_loss import VIEWS
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items, encode_views
from mmsrec.pairs.read import PairBatch
from tests.unit.models.examples import MMSREC, TRAINER, changed
from tests.unit.training.examples import PRETRAINING

CPU = torch.device("cpu")
WIDTHS = {"vision": 6, "text": 5}


def batch(pairs=9, no_vision=(2, 3), no_text=(3, 4)):
    random = np.random.default_rng(0)
    vision, text = (random.normal(size=(pairs, width)).astype(np.float16) for width in WIDTHS.values())
    present = np.ones((2, pairs), bool)
    present[0, list(no_vision)] = present[1, list(no_text)] = False
    return PairBatch(vision, present[0], text, present[1])


def encoder(rule="mask_token"):
    torch.manual_seed(1)
    return ItemEncoder(WIDTHS, PRETRAINING.model_copy(update={"missing": rule}))


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_a_view_equals_the_item_towers_vector_of_an_item_with_these_modalities(rule):
    network, items = encoder(rule).eval(), Items.of(batch(), CPU)
    views = encode_views(network, items, VIEWS)
    for name, shown in VIEWS.items():
        present = {modality: items.present[modality] & (modality in shown) for modality in WIDTHS}
        features = {modality: Features(items.vectors[modality].float(), present[modality]) for modality in WIDTHS}
        inputs = ModelInputs(len(items), features)
        tower = MMSRec(inputs, changed(MMSREC, missing=rule), TRAINER).eval()
        tower.encoder.load_state_dict(network.state_dict(), strict=False)
        rows = torch.stack([present[modality] for modality in shown]).all(0)
        torch.testing.assert_close(views[name][rows], tower.encode_items().vectors_KD[rows])
        assert (views[name][~rows] == 0).all()


def test_two_views_of_the_same_modalities_differ_by_dropout_alone():
    network, items = encoder(), Items.of(batch(), CPU)
    views = encode_views(network.train(), items, VIEWS)
    assert not torch.allclose(views["vt"], views["vt'"])
    views = encode_views(network.eval(), items, VIEWS)
    torch.testing.assert_close(views["vt"], views["vt'"])


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_items_without_a_modality_of_any_view_have_zero_gradients(rule):
    network = encoder(rule).train()
    items = Items.of(batch(3, no_vision=(0, 1, 2), no_text=(0, 1, 2)), CPU)
    views = encode_views(network, items, VIEWS)
    assert all(view.shape == (3, PRETRAINING.dim) and not view.any() for view in views.values())
    torch.autograd.backward(list(views.values()), [torch.ones_like(view) for view in views.values()])
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in network.parameters())
