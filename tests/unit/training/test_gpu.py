"""A GPU computes the same as the CPU, and the same again; skipped if there is no GPU."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from mmsrec.evaluation.ranks import rank
from mmsrec.models.duorec import DuoRec
from mmsrec.models.duorec_settings import DuoRecSettings
from mmsrec.models.gru4rec import GRU4Rec
from mmsrec.models.gru4rec_settings import GRU4RecSettings
from mmsrec.models.mmsrec import MMSRec
from mmsrec.models.mmsrec_settings import MMSRecSettings
from mmsrec.models.recommender import Features, ModelInputs
from mmsrec.nn.catalogue_loss import catalogue_cross_entropy
from mmsrec.nn.user_sequences import Sequences
from mmsrec.training import next_item
from mmsrec.training.batches import Batches
from mmsrec.training.distributed import Processes
from mmsrec.training.next_item import finetune
from mmsrec.training.next_item_step import adamw, train_step
from mmsrec.training.runtime import seed_everything, start
from tests.unit.models.examples import DUOREC, GRU4REC
from tests.unit.training.examples import SETTINGS, TRAINER, walks

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

ITEMS = 500
MASKED = SETTINGS, TRAINER.model_copy(update={"batch_size": 128})
CAUSAL = (
    SETTINGS.model_copy(update={"objective": "causal", "item_embedding": True, "whiten": True}),
    TRAINER.model_copy(update={"batch_size": 128, "augment": "windows", "sampled_items": 64}),
)
RECURRENT = GRU4REC, TRAINER.model_copy(update={"batch_size": 128, "augment": "windows", "clip_norm": None})
PAIRED = DUOREC, TRAINER.model_copy(update={"batch_size": 128, "augment": "random"})
WAYS = pytest.mark.parametrize(
    ("settings", "trainer"),
    [MASKED, CAUSAL, RECURRENT, PAIRED],
    ids=["masked", "causal, sampled", "recurrent", "paired"],
)
NETWORKS = {MMSRecSettings: MMSRec, GRU4RecSettings: GRU4Rec, DuoRecSettings: DuoRec}
DROPOUTS = ("dropout", "embedding_dropout", "hidden_dropout", "attention_dropout")


@pytest.fixture(scope="module")
def gpu():
    device = start()
    yield device
    torch.use_deterministic_algorithms(False)


def sequences(device):
    made = walks(users=300, items=ITEMS, longest=20)
    return Sequences(made.items_A.to(device), made.offsets_U1.to(device))


def model(settings, trainer):
    seed_everything(7, 0)
    vectors, present = torch.randn(2, ITEMS, 24), torch.rand(2, ITEMS) < 0.9
    features = {name: Features(vectors[i], present[i]) for i, name in enumerate(("vision", "text"))}
    return NETWORKS[type(settings)](ModelInputs(ITEMS, features), settings, trainer)


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@WAYS
def test_a_step_has_the_loss_and_the_gradients_of_the_cpu(gpu, settings, trainer):
    settings = settings.model_copy(update={name: 0.0 for name in DROPOUTS if hasattr(settings, name)})
    trainer = trainer.model_copy(update={"clip_norm": 1e9})
    found = []
    for device in (torch.device("cpu"), gpu):
        network = model(settings, trainer).to(device).train()
        step = next(Batches(sequences(device), network, trainer).steps(0, 1))
        loss = train_step(network, adamw(network, trainer), step, trainer, (0,), Processes(device))
        found.append(
            (loss, {name: part.grad.cpu() for name, part in network.named_parameters() if part.grad is not None})
        )
    (loss, expected), (gpu_loss, gradients) = found
    assert gpu_loss == pytest.approx(loss, rel=1e-5)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        assert (gradient - expected[name]).norm() <= 1e-4 * expected[name].norm() + 1e-6, name


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_fused_softmax_equals_the_plain_one(gpu, precision):
    queries = 20 * F.normalize(torch.randn(37, 16, dtype=torch.float64), dim=1)
    items, targets = F.normalize(torch.randn(1000, 16, dtype=torch.float64), dim=1), torch.randint(1000, (37,))
    sides = []
    for device, kind in (("cpu", torch.float64), (gpu, torch.float32)):
        leaves = [part.clone().to(device, kind).requires_grad_() for part in (queries, items)]
        if kind is torch.float64:
            loss = F.cross_entropy(leaves[0] @ leaves[1].T, targets, reduction="sum")
        else:
            loss = catalogue_cross_entropy(*leaves, targets.to(device), precision)
        loss.backward()
        sides.append([loss.detach(), *(leaf.grad for leaf in leaves)])
    for expected, found in zip(*sides, strict=True):
        bound = 1e-5 if precision is torch.float32 else 1e-2
        assert (found.cpu().double() - expected).norm() <= bound * expected.norm()


@WAYS
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_history_and_weights(gpu, tmp_path, settings, trainer, precision):
    trainer = trainer.model_copy(update={"precision": precision})
    runs = [
        finetune(model(settings, trainer).to(gpu), sequences(gpu), trainer, 3, tmp_path / str(number), {})
        for number in range(2)
    ]
    assert without_seconds(runs[0].history) == without_seconds(runs[1].history)
    assert all(torch.equal(runs[0].best[name], runs[1].best[name]) for name in runs[0].best)


@WAYS
def test_a_killed_training_ends_as_an_uninterrupted_one(gpu, tmp_path, monkeypatch, settings, trainer):
    uninterrupted = finetune(
        model(settings, trainer).to(gpu), sequences(gpu), trainer, 3, tmp_path / "uninterrupted", {}
    )
    step, done = next_item.train_step, []

    def dies(*arguments):
        done.append(1)
        if len(done) == 5:
            raise InterruptedError
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(next_item, "train_step", dies)
        with pytest.raises(InterruptedError):
            finetune(
                model(settings, trainer).to(gpu), sequences(gpu), trainer, 3, tmp_path / "killed", {}, save_minutes=0.0
            )
    resumed = finetune(model(settings, trainer).to(gpu), sequences(gpu), trainer, 3, tmp_path / "killed", {})
    assert without_seconds(resumed.history) == without_seconds(uninterrupted.history)
    assert all(torch.equal(resumed.model[name], uninterrupted.model[name]) for name in uninterrupted.model)


@WAYS
@pytest.mark.parametrize("candidates", ["all", "unseen"])
def test_ranks_are_those_of_the_cpu_but_for_rounding(gpu, settings, trainer, candidates):
    network = model(settings, trainer)
    expected = rank(network, sequences("cpu"), 1, candidates=candidates, top=5)
    found = rank(copy.deepcopy(network).to(gpu), sequences(gpu), 1, candidates=candidates, top=5)
    assert torch.equal(found.candidates_U, expected.candidates_U)
    # Scores of untrained vectors lie close together, and a last bit moves a rank by one.
    assert (found.rank_U - expected.rank_U).abs().max() <= 2
    assert (found.rank_U == expected.rank_U).double().mean() > 0.9


def test_the_order_of_users_does_not_change_their_ranks(gpu):
    network, users = model(*MASKED).to(gpu), sequences(gpu)
    lists = users.items_A.split(users.offsets_U1.diff().tolist())
    lengths = torch.tensor([0, *(len(items) for items in lists[::-1])], device=gpu)
    backwards = replace(users, items_A=torch.cat(lists[::-1]), offsets_U1=lengths.cumsum(0))
    assert torch.equal(rank(network, backwards, 1).rank_U.flip(0), rank(network, users, 1).rank_U)
