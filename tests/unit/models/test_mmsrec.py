import pytest
import torch

from mmsrec.models import recommender
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features
from mmsrec.nn import transformer
from mmsrec.nn.packing import Packing
from mmsrec.nn.predictions import Predictions
from mmsrec.settings.params import read_params
from tests.unit.training.examples import SETTINGS

ITEMS = 12


def features(seed, missing=()):
    torch.manual_seed(seed)
    present = torch.ones(ITEMS, dtype=torch.bool)
    present[list(missing)] = False
    return Features(torch.randn(ITEMS, 6), present)


def model(missing_rule="mask_token", vision_missing=(3, 4), text_missing=(4,), **changes):
    torch.manual_seed(5)
    settings = SETTINGS.model_copy(update={"missing": missing_rule, **changes})
    return MMSRec({"vision": features(1, vision_missing), "text": features(2, text_missing)}, settings).eval()


@pytest.mark.parametrize("positions", ["end", "start"])
@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_padding_never_changes_a_vector(rule, objective, positions):
    network = model(rule, objective=objective, positions=positions, item_embedding=True)
    catalogue = network.catalogue()
    history = torch.tensor([[3, 7, 1]])
    padded = torch.cat([torch.full((1, 2), network.absent), history], dim=1)
    alone = network.user_vectors(catalogue, history)
    beside = network.user_vectors(catalogue, torch.cat([padded, torch.tensor([[1, 2, 3, 4, 5]])]))[:1]
    torch.testing.assert_close(alone, beside)
    torch.testing.assert_close(alone, network.user_vectors(catalogue, padded))


def test_order_matters_in_a_sequence():
    network = model()
    catalogue = network.catalogue()
    forward, backward = torch.tensor([[3, 7, 1]]), torch.tensor([[1, 7, 3]])
    assert not torch.allclose(network.user_vectors(catalogue, forward), network.user_vectors(catalogue, backward))


def test_only_the_latest_items_are_read():
    network = model()
    catalogue = network.catalogue()
    longest = network.longest_history
    history = torch.arange(longest)[None] % ITEMS
    longer = torch.cat([torch.tensor([[5, 6]]), history], dim=1)
    torch.testing.assert_close(
        network.user_vectors(catalogue, history), network.user_vectors(catalogue, longer), rtol=0, atol=0
    )


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_features_of_absent_modalities_are_not_read(rule):
    network = model(rule)
    before = network.catalogue()[-1]
    with torch.no_grad():
        network.features["vision"].vectors_IF[3] = 1e3
    torch.testing.assert_close(network.catalogue()[-1], before)


def test_drop_reads_the_present_modality_alone():
    # Under drop, an item without a picture is what a text-only tower with the same weights makes of its text.
    network = model("drop")
    torch.manual_seed(5)
    text_only = MMSRec({"text": features(2, (4,))}, SETTINGS).eval()
    shared = {name: value for name, value in network.state_dict().items() if "vision" not in name}
    text_only.load_state_dict(shared)
    torch.testing.assert_close(network.catalogue()[-1][3], text_only.catalogue()[-1][3])
    assert not torch.allclose(network.catalogue()[-1][5], text_only.catalogue()[-1][5])


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_an_item_without_any_modality_has_a_vector(rule):
    assert torch.isfinite(model(rule).catalogue()[-1]).all()


def test_item_vectors_have_length_one():
    items = model().catalogue()[-1]
    torch.testing.assert_close(items.norm(dim=1), torch.ones(ITEMS))


def test_loss_is_the_cross_entropy_of_cosine_over_temperature():
    network = model()
    catalogue = network.catalogue()
    inputs = torch.tensor([[network.absent, 2, network.mask], [1, network.mask, network.mask]])
    predictions = Predictions(inputs, torch.tensor([0, 1, 1]), torch.tensor([2, 1, 2]), torch.tensor([9, 8, 7]))
    packing = Packing(inputs < network.absent, predictions.rows_P, predictions.columns_P)
    queries = network._retrieving(catalogue, inputs, packing)
    expected = torch.nn.functional.cross_entropy(
        queries @ catalogue[-1].T / SETTINGS.temperature, predictions.targets_P, reduction="sum"
    )
    torch.testing.assert_close(network.loss(catalogue, predictions), expected)


def test_a_masked_item_is_hidden_in_all_its_modalities():
    network = model()
    catalogue = network.catalogue()
    one, other = torch.tensor([[2, network.mask]]), torch.tensor([[2, network.mask]])
    changed = (catalogue[0].clone(), catalogue[1])
    changed[0][7] = 0  # an item that is not in the sequence
    packing = Packing(one < network.absent, torch.tensor([0]), torch.tensor([1]))
    vectors = [network._retrieving(*given, packing) for given in ((catalogue, one), (changed, other))]
    torch.testing.assert_close(*vectors)


def test_the_papers_size_can_be_built():
    settings = read_params("params.yaml").training
    network = MMSRec({"vision": features(1), "text": features(2)}, settings)
    assert network.catalogue()[0].shape == (ITEMS + 1, 2, 512)


def test_a_causal_vector_of_a_place_is_that_of_the_history_before_it():
    network = model(objective="causal", positions="start")
    catalogue = network.catalogue()
    history = torch.tensor([[3, 7, 1, 9]])
    rows, columns = torch.zeros(4, dtype=torch.long), torch.arange(4)
    places = network._retrieving(catalogue, history, Packing(history < network.absent, rows, columns))
    alone = [network.user_vectors(catalogue, history[:, : end + 1]) for end in range(4)]
    torch.testing.assert_close(places, torch.cat(alone))


def test_positions_count_from_the_end_or_from_the_first_item():
    exists = torch.tensor([[False, True, True], [True, True, True]])
    assert model(positions="end")._positions(exists).tolist() == [[2, 1, 0], [2, 1, 0]]
    assert model(positions="start")._positions(exists).tolist() == [[0, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_the_catalogue_of_some_items_holds_their_rows_of_the_whole(rule):
    network = model(rule, item_embedding=True)
    chosen = torch.tensor([1, 3, 4, 9])
    whole, some = network.catalogue(), network.catalogue(chosen)
    assert len(whole) == len(some) == (2 if rule == "mask_token" else 3)
    for every, part in zip(whole, some, strict=True):
        torch.testing.assert_close(part[: len(chosen)], every[chosen])
        torch.testing.assert_close(part[len(chosen) :], every[ITEMS:])


def test_an_item_tower_of_its_own_leaves_the_sequences_as_they_were():
    network = model(item_tower="own")
    catalogue, history = network.catalogue(), torch.tensor([[3, 7, 1]])
    before = network.user_vectors(catalogue, history)
    with torch.no_grad():
        for parameter in network.encoder.item_transformer.parameters():
            parameter.mul_(2)
    assert not torch.allclose(network.catalogue()[-1], catalogue[-1])
    torch.testing.assert_close(network.user_vectors(network.catalogue(), history), before)


def test_items_with_the_same_features_differ_by_their_embeddings():
    network = model(item_embedding=True)
    plain = model()
    for each in (network, plain):
        for feature in each.features.values():
            feature.vectors_IF[1] = feature.vectors_IF[0]
    assert torch.equal(*plain.catalogue()[-1][:2])
    assert not torch.allclose(*network.catalogue()[-1][:2])


def test_bfloat16_changes_little(monkeypatch):
    monkeypatch.setattr(transformer, "REDUCED_ROWS", 1)
    exact, reduced = model(), model(precision="bfloat16")
    history = torch.tensor([[3, 7, 1]])
    for network in (exact, reduced):
        network.load_state_dict(exact.state_dict())
    vectors = [network.user_vectors(network.catalogue(), history) for network in (exact, reduced)]
    assert vectors[1].dtype == torch.float32
    assert not torch.equal(*vectors)
    assert (vectors[0] @ vectors[1].T).item() > 0.999


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_a_catalogue_made_in_parts_is_the_whole(monkeypatch, rule):
    monkeypatch.setattr(recommender, "CATALOGUE_PART", 5)
    network = model(rule, item_embedding=True)
    for part, whole in zip(network.whole_catalogue(), network.catalogue(), strict=True):
        torch.testing.assert_close(part, whole)
