import pytest
import torch
from torch.nn import functional as F

from mmsrec.errors import DataError
from mmsrec.models import recommender
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn import precision as precision_rule
from mmsrec.nn.encoded_items import EncodedItems
from mmsrec.nn.predictions import Predictions
from tests.unit.models.examples import MMSREC, TRAINER, changed

ITEMS = 12


def features(seed, missing=()):
    torch.manual_seed(seed)
    present = torch.ones(ITEMS, dtype=torch.bool)
    present[list(missing)] = False
    return Features(torch.randn(ITEMS, 6), present)


def model(missing_rule="mask_token", precision="float32", **changes):
    """Item 3 has no vision, item 4 has neither vision nor text."""
    inputs = ModelInputs(ITEMS, {"vision": features(1, (3, 4)), "text": features(2, (4,))})
    torch.manual_seed(5)
    settings = changed(MMSREC, missing=missing_rule, **changes)
    return MMSRec(inputs, settings, changed(TRAINER, precision=precision)).eval()


def vectors_at(network, items, inputs, rows, columns):
    return network.sequences.at_places(items, inputs, torch.tensor(rows), torch.tensor(columns))


@pytest.mark.parametrize("positions", ["end", "start"])
@pytest.mark.parametrize("objective", ["masked", "causal"])
@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_padding_never_changes_a_vector(rule, objective, positions):
    network = model(rule, objective=objective, positions=positions, item_embedding=True)
    items = network.encode_items()
    history = torch.tensor([[3, 7, 1]])
    padded = torch.cat([torch.full((1, 2), network.absent), history], dim=1)
    alone = network.user_vectors(items, history)
    beside = network.user_vectors(items, torch.cat([padded, torch.tensor([[1, 2, 3, 4, 5]])]))[:1]
    torch.testing.assert_close(alone, beside)
    torch.testing.assert_close(alone, network.user_vectors(items, padded))


def test_order_matters_in_a_sequence():
    network = model()
    items = network.encode_items()
    forward, backward = torch.tensor([[3, 7, 1]]), torch.tensor([[1, 7, 3]])
    assert not torch.allclose(network.user_vectors(items, forward), network.user_vectors(items, backward))


def test_only_the_latest_items_are_read():
    network = model()
    items = network.encode_items()
    history = torch.arange(network.longest_history)[None] % ITEMS
    longer = torch.cat([torch.tensor([[5, 6]]), history], dim=1)
    torch.testing.assert_close(
        network.user_vectors(items, history), network.user_vectors(items, longer), rtol=0, atol=0
    )


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_features_of_absent_modalities_are_not_read(rule):
    network = model(rule)
    before = network.encode_items().vectors_KD
    with torch.no_grad():
        network.features["vision"].vectors_IF[3] = 1e3
    torch.testing.assert_close(network.encode_items().vectors_KD, before)


def test_under_drop_an_item_without_a_picture_equals_a_text_only_item():
    network = model("drop")
    text_only = MMSRec(ModelInputs(ITEMS, {"text": features(2, (4,))}), MMSREC, TRAINER).eval()
    shared = {name: value for name, value in network.state_dict().items() if "vision" not in name}
    text_only.load_state_dict(shared)
    both, text = network.encode_items().vectors_KD, text_only.encode_items().vectors_KD
    torch.testing.assert_close(both[3], text[3])
    assert not torch.allclose(both[5], text[5])


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_every_item_has_a_vector_of_length_one_even_without_any_modality(rule):
    vectors = model(rule).encode_items().vectors_KD
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(ITEMS))


def test_loss_is_the_cross_entropy_of_cosine_over_temperature():
    network = model()
    items = network.encode_items()
    inputs = torch.tensor([[network.absent, 2, network.mask], [1, network.mask, network.mask]])
    predictions = Predictions(inputs, torch.tensor([0, 1, 1]), torch.tensor([2, 1, 2]), torch.tensor([9, 8, 7]))
    queries = vectors_at(network, items, inputs, [0, 1, 1], [2, 1, 2])
    logits = F.normalize(queries, dim=1) @ F.normalize(items.vectors_KD, dim=1).T / MMSREC.temperature
    expected = F.cross_entropy(logits, predictions.targets_P, reduction="sum")
    torch.testing.assert_close(network.loss(items, predictions), expected)


def test_a_masked_item_is_hidden_in_all_its_modalities():
    # The table row of an item that is hidden behind [mask] must not reach the vector of its place.
    network = model()
    items = network.encode_items()
    table = items.table.clone()
    table[7] = 0
    inputs = torch.tensor([[2, network.mask]])
    before, after = (
        vectors_at(network, each, inputs, [0], [1]) for each in (items, EncodedItems(items.vectors_KD, table))
    )
    torch.testing.assert_close(before, after)
    table[2] = 0
    seen = vectors_at(network, EncodedItems(items.vectors_KD, table), inputs, [0], [1])
    assert not torch.allclose(before, seen)


def test_a_causal_vector_of_a_place_depends_on_the_history_up_to_it():
    network = model(objective="causal", positions="start")
    items, history = network.encode_items(), torch.tensor([[3, 7, 1, 9]])
    places = vectors_at(network, items, history, [0, 0, 0, 0], [0, 1, 2, 3])
    alone = [network.user_vectors(items, history[:, : end + 1]) for end in range(4)]
    torch.testing.assert_close(places, torch.cat(alone))


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_some_encoded_items_are_rows_of_all(rule):
    network = model(rule, item_embedding=True)
    chosen = torch.tensor([1, 3, 4, 9])
    whole, some = network.encode_items().tensors(), network.encode_items(chosen).tensors()
    assert len(whole) == len(some) == (2 if rule == "mask_token" else 3)
    for every, part in zip(whole, some, strict=True):
        torch.testing.assert_close(part[: len(chosen)], every[chosen])
        torch.testing.assert_close(part[len(chosen) :], every[ITEMS:])


@pytest.mark.parametrize("rule", ["mask_token", "drop"])
def test_items_encoded_in_parts_equal_the_whole(monkeypatch, rule):
    monkeypatch.setitem(recommender.ENCODED_TOGETHER, "cpu", 5)
    network = model(rule, item_embedding=True)
    for part, whole in zip(network.encode_all_items().tensors(), network.encode_items().tensors(), strict=True):
        torch.testing.assert_close(part, whole)


def test_an_own_item_tower_does_not_change_sequences():
    network = model(item_tower="own")
    items, history = network.encode_items(), torch.tensor([[3, 7, 1]])
    before = network.user_vectors(items, history)
    with torch.no_grad():
        for parameter in network.encoder.item_transformer.parameters():
            parameter.mul_(2)
    assert not torch.allclose(network.encode_items().vectors_KD, items.vectors_KD)
    torch.testing.assert_close(network.user_vectors(network.encode_items(), history), before)


def test_items_with_the_same_features_differ_by_their_embeddings():
    network, plain = model(item_embedding=True), model()
    for each in (network, plain):
        for feature in each.features.values():
            feature.vectors_IF[1] = feature.vectors_IF[0]
    assert torch.equal(*plain.encode_items().vectors_KD[:2])
    assert not torch.allclose(*network.encode_items().vectors_KD[:2])


def test_bfloat16_changes_little(monkeypatch):
    monkeypatch.setattr(precision_rule, "REDUCED_ROWS", 1)
    exact, reduced = model(), model(precision="bfloat16")
    reduced.load_state_dict(exact.state_dict())
    history = torch.tensor([[3, 7, 1]])
    vectors = [network.user_vectors(network.encode_items(), history) for network in (exact, reduced)]
    assert vectors[1].dtype == torch.float32
    assert not torch.equal(*vectors)
    assert (vectors[0] @ vectors[1].T).item() > 0.999


def test_a_hidden_modality_is_not_read_but_a_mask_keeps_its_token():
    network = model("drop", hidden_modality="vision")
    text_only = MMSRec(ModelInputs(ITEMS, {"text": features(2, (4,))}), MMSREC, TRAINER).eval()
    text_only.load_state_dict({name: value for name, value in network.state_dict().items() if "vision" not in name})
    both, text = network.encode_items(), text_only.encode_items()
    torch.testing.assert_close(both.vectors_KD[5], text.vectors_KD[5])
    assert both.read[5].tolist() == [False, True]
    assert both.read[ITEMS].all()
    history = torch.tensor([[5, 7]])
    assert not torch.allclose(network.user_vectors(both, history), text_only.user_vectors(text, history))


@pytest.mark.parametrize("names", [("text",), ("vision",)])
def test_a_hidden_modality_is_one_of_several(names):
    inputs = ModelInputs(ITEMS, {name: features(1) for name in names})
    with pytest.raises(DataError, match="hidden_modality: vision"):
        MMSRec(inputs, changed(MMSREC, hidden_modality="vision"), TRAINER)


@pytest.mark.parametrize("tower", ["shared", "own"])
def test_attention_inputs_can_start_equal_in_all_blocks(tower):
    encoder = model(attention_start="xavier", item_tower=tower, dim=64).encoder
    for transformer in filter(None, (encoder.transformer, encoder.item_transformer)):
        first, second = (block.attention.inputs.weight for block in transformer.blocks)
        assert torch.equal(first, second)
        # The variance of Xavier's uniform distribution is 2 / (inputs + outputs).
        assert first.std().item() == pytest.approx((2 / (64 + 3 * 64)) ** 0.5, rel=0.02)
        assert not torch.equal(*(block.expand.weight for block in transformer.blocks))


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_single_items_stand_at_the_first_place_of_a_full_window(objective):
    network = model(objective=objective, item_position="first")
    before = network.encode_items().vectors_KD
    longest = TRAINER.max_length - (objective == "causal")
    with torch.no_grad():
        network.encoder.embedding.position.weight[: longest - 1] = 0
    assert torch.equal(network.encode_items().vectors_KD, before)
    full, short = torch.arange(network.longest_history)[None], torch.arange(network.longest_history - 1)[None]
    items = network.encode_items()
    vectors = [network.user_vectors(items, history) for history in (full, short)]
    with torch.no_grad():
        network.encoder.embedding.position.weight[longest - 1] = 1
    moved = [network.user_vectors(items, history) for history in (full, short)]
    assert not torch.allclose(vectors[0], moved[0])
    assert torch.equal(vectors[1], moved[1])


def test_the_papers_size_can_be_built():
    settings = changed(MMSREC, dim=512, heads=8, feedforward=1024)
    inputs = ModelInputs(ITEMS, {"vision": features(1), "text": features(2)})
    items = MMSRec(inputs, settings, changed(TRAINER, max_length=20)).encode_items()
    assert items.table.shape == (ITEMS + 1, 2, 512)
