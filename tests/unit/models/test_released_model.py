"""With equal weights, the settings of the released code give its vectors, losses and gradients.

The restatement computes in float64 and ours in float32, so the differences are the rounding of float32.
"""

import pytest
import torch
from torch.nn import functional as F

from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn.contrastive_loss import contrastive_terms, views_of
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.objectives import Masked
from mmsrec.nn.predictions import Predictions
from mmsrec.nn.views import Items, encode_views
from mmsrec.training.import_authors import POSITIONS, converted
from tests.unit.models.examples import MMSREC, TRAINER, changed
from tests.unit.models.released import (
    DIM,
    FEEDFORWARD,
    HEADS,
    LAYERS,
    MODALITIES,
    TEMPERATURE,
    WIDTHS,
    Released,
    contrastive_term,
)
from tests.unit.training.examples import PRETRAINING

ITEMS, LENGTH = 40, 20
RELEASED = {
    "dim": DIM,
    "heads": HEADS,
    "feedforward": FEEDFORWARD,
    "missing": "drop",
    "final_norm": True,
    "output_norm": "modality",
    "item_position": "first",
}
HISTORIES = [[(7 * place + length) % ITEMS for place in range(length)] for length in (1, 3, 18, 19, 20, 21, 45)]


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return Released(LENGTH)


def made_inputs():
    """Item 3 has no vision, item 4 no text."""
    generator = torch.Generator().manual_seed(1)
    inputs = {}
    for name, absent in (("vision", 3), ("text", 4)):
        present = torch.ones(ITEMS, dtype=torch.bool)
        present[absent] = False
        inputs[name] = Features(torch.randn(ITEMS, WIDTHS[name], generator=generator), present)
    return inputs


def in_our_names(theirs, encoder, of):
    """A tensor of each parameter of theirs, by our names; our positions count from the end of a window."""
    found = {name: of(parameter) for name, parameter in theirs.named_parameters()}
    renamed = converted("made", found, {name: value.shape for name, value in encoder.state_dict().items()}, LAYERS)
    return renamed | {"embedding.position.weight": found[POSITIONS].flip(0).float()}


def model(theirs, names=MODALITIES, **changes):
    inputs = {name: feature for name, feature in made_inputs().items() if name in names}
    settings = changed(MMSREC, **RELEASED | changes)
    network = MMSRec(ModelInputs(ITEMS, inputs), settings, changed(TRAINER, max_length=LENGTH)).eval()
    loaded = in_our_names(theirs, ItemEncoder(WIDTHS, changed(MMSREC, **RELEASED), LENGTH), torch.Tensor.detach)
    network.encoder.load_state_dict({name: loaded[name] for name in network.encoder.state_dict()})
    return network


def shown(*names):
    present = [feature.present_I & (name in (names or MODALITIES)) for name, feature in made_inputs().items()]
    return torch.stack(present, dim=1)


def tokens(theirs):
    return theirs.features({name: feature.vectors_IF for name, feature in made_inputs().items()})


def close(found, expected):
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("kept", "hidden"), [((), "none"), (("vision",), "text"), (("text",), "vision")])
def test_vectors_of_items_and_of_histories_are_equal(theirs, kept, hidden):
    network, shown_IM = model(theirs, hidden_modality=hidden), shown(*kept)
    items, tokens_IMD = network.encode_items(), tokens(theirs)
    some = shown_IM.any(1)
    close(items.vectors_KD[some], theirs.items(tokens_IMD[some], shown_IM[some]))
    for history in HISTORIES:
        history = [item for item in history if some[item]]
        found = network.user_vectors(items, torch.tensor([history]))[0]
        close(found, theirs.at_mask(history, tokens_IMD, shown_IM))


@pytest.mark.parametrize("name", MODALITIES)
def test_an_encoder_of_one_modality_has_the_vectors_of_items_without_the_other(theirs, name):
    network, shown_IM = model(theirs, names=(name,)), shown(name)
    some = shown_IM.any(1)
    close(network.encode_items().vectors_KD[some], theirs.items(tokens(theirs)[some], shown_IM[some]))


@pytest.mark.parametrize("change", [{"missing": "mask_token"}, {"final_norm": False}, {"item_position": "none"}])
def test_without_one_of_the_settings_vectors_differ(theirs, change):
    found = model(theirs, **change).encode_items().vectors_KD
    assert (found - theirs.items(tokens(theirs), shown())).abs().max() > 0.01


def masked_task():
    """Four windows under the masked objective: two of them are full, and two are short."""
    generator = torch.Generator().manual_seed(2)
    windows = torch.randint(ITEMS, (4, LENGTH), generator=generator)
    windows[2, :-5] = windows[3, :-2] = ITEMS + 1
    return Masked(0.3)(windows, ITEMS, generator)


def masked_losses(theirs, network):
    """The mean loss of some windows by ours and by theirs."""
    shown_IM, tokens_IMD = shown(), tokens(theirs)
    task = masked_task()
    rows, columns = task.predicted_BL.nonzero(as_tuple=True)
    targets = task.targets_BL[rows, columns]
    ours = network.loss(network.encode_items(), Predictions(task.inputs_BL, rows, columns, targets)) / len(targets)
    windows = [[item for item in row if item <= ITEMS] for row in task.inputs_BL.tolist()]
    places = [F.pad(theirs.places(row, tokens_IMD, shown_IM), (0, 0, LENGTH - len(row), 0)) for row in windows]
    logits = torch.stack(places)[rows, columns] @ theirs.items(tokens_IMD, shown_IM).T / TEMPERATURE
    return ours, F.cross_entropy(logits, targets)


def test_the_loss_of_hidden_items_and_its_gradients_are_equal(theirs):
    network = model(theirs, temperature=TEMPERATURE)
    ours, expected = masked_losses(theirs, network)
    close(ours, expected)
    ours.backward()
    theirs.zero_grad()
    expected.backward()
    found = {name: parameter.grad for name, parameter in network.encoder.named_parameters()}
    same_gradients(found, in_our_names(theirs, network.encoder, gradient))


def test_the_contrastive_losses_and_their_gradients_are_equal(theirs):
    settings = PRETRAINING.model_copy(update=RELEASED | {"temperature": TEMPERATURE})
    encoder = ItemEncoder(WIDTHS, settings).eval()
    loaded = in_our_names(theirs, encoder, torch.Tensor.detach)
    encoder.load_state_dict(loaded | {"embedding.position.weight": loaded["embedding.position.weight"][-1:]})
    inputs, tokens_IMD, shown_IM = made_inputs(), tokens(theirs), shown()
    items = Items(
        *({name: getattr(each, part) for name, each in inputs.items()} for part in ("vectors_IF", "present_I"))
    )
    views = encode_views(encoder, items, views_of(settings.weights))
    found = {term.name: term.share for term in contrastive_terms(views, items.present, settings)}
    whole = shown_IM.all(1)
    first, second = (theirs.items(tokens_IMD, shown(name)) for name in MODALITIES)
    both = theirs.items(tokens_IMD[whole], shown_IM[whole])
    seen = {"vv": (first[shown_IM[:, 0]],) * 2, "tt": (second[shown_IM[:, 1]],) * 2}
    seen |= {"vt": (first[whole], second[whole]), "both": (both, both)}
    expected = {name: 0.25 * contrastive_term(*pair) for name, pair in seen.items()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        close(found[name], value)
    sum(found.values()).backward()
    theirs.zero_grad()
    sum(expected.values()).backward()
    gradients = in_our_names(theirs, encoder, gradient)
    gradients["embedding.position.weight"] = gradients["embedding.position.weight"][-1:]
    same_gradients({name: parameter.grad for name, parameter in encoder.named_parameters()}, gradients)


def gradient(parameter):
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def same_gradients(found, expected):
    largest = max(value.abs().max() for value in expected.values())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        part = torch.zeros_like(value) if found[name] is None else found[name]
        assert (part - value).abs().max() < 1e-6 * largest, name
