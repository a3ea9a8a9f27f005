"""The number of threads changes no byte of a trained model, of a ranking, or of a pre-trained item encoder."""

from pathlib import Path

import pytest
import torch

from mmsrec.evaluation.ranks import rank_among
from mmsrec.models.attributes import Attributes
from mmsrec.models.recommender import ENCODED_TOGETHER, Features, ModelInputs
from mmsrec.models.registry import MODELS
from mmsrec.nn.item_encoder import ItemEncoder
from mmsrec.nn.views import Items
from mmsrec.settings.params import read_params
from mmsrec.training import pretrain_step
from mmsrec.training.batches import GROUP_POSITIONS
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item import finetune
from mmsrec.training.runtime import seed_everything
from tests.unit.models.examples import changed
from tests.unit.training.examples import PRETRAINING, walks
from tests.unit.training.pairs import batch

CPU = torch.device("cpu")
PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
ITEMS, WIDTH, USERS = 300, 96, 128
# Variants whose models take every way through a step.
VARIANTS = ["mmsrec-causal-id", "mmsrec-text", "sasrec", "gru4rec", "fdsa", "s3rec-pretraining", "duorec"]
VARIANTS += ["unisrec-scratch", "unisrec-pretraining"]


def assert_equal(first, other):
    assert first.keys() == other.keys()
    assert [name for name, tensor in first.items() if not torch.equal(tensor, other[name])] == []


def trained(variant, folder, threads):
    """The weights after one epoch, and the ranks of the last items."""
    torch.set_num_threads(threads)
    chosen = PARAMS.settings_of("beauty", variant)
    trainer = changed(chosen.trainer, batch_size=USERS, max_epochs=1)
    seed_everything(1, 0)
    vectors = torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(0))
    attributes = Attributes([[f"category={item % 11}", f"brand={item % 5}"] for item in range(ITEMS)])
    inputs = ModelInputs(ITEMS, {"text": Features(vectors, torch.arange(ITEMS) % 7 > 0)}, attributes)
    network = MODELS[chosen.model].network_class()(inputs, chosen.settings, trainer)
    sequences = walks(users=USERS, items=ITEMS, longest=20)
    finetune(network, sequences, trainer, 1, folder, {})
    return {**network.state_dict(), "ranks": rank_among(network, sequences, 1, None).rank_U}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_trained_model_and_its_ranks_are_the_same_bytes(variant, tmp_path, monkeypatch, threads):
    monkeypatch.setitem(ENCODED_TOGETHER, "cpu", 128)
    monkeypatch.setitem(GROUP_POSITIONS, "cpu", (256, 512))
    counts = [1, 2, 3, 4] if variant == VARIANTS[0] else [1, 3]
    first, *others = [trained(variant, tmp_path / str(count), count) for count in counts]
    for other in others:
        assert_equal(first, other)


def test_a_step_of_pretraining_gives_the_same_bytes(monkeypatch, threads):
    monkeypatch.setitem(pretrain_step.CHUNK, "cpu", 50)
    settings = changed(PRETRAINING, dim=64, feedforward=128, precision="bfloat16")
    found = []
    for count in (1, 2, 3, 4):
        torch.set_num_threads(count)
        seed_everything(1, 0)
        encoder = ItemEncoder({"vision": 10, "text": 8}, settings)
        optimizer = torch.optim.AdamW(encoder.parameters(), fused=True)
        pretrain_step.train_step(encoder, optimizer, Items.of(batch(400), CPU), settings, (0,), Processes(CPU))
        found.append(encoder.state_dict())
    for other in found[1:]:
        assert_equal(found[0], other)
