"""Training and evaluation on sequences with cold items, in a world of topics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import DataError, TrainingError
from mmsrec.evaluation.evaluate import evaluate
from mmsrec.evaluation.metrics import metrics
from mmsrec.evaluation.ranks import rank, rank_among
from mmsrec.files import read_json
from mmsrec.models.content_settings import ContentSettings
from mmsrec.models.dataset import Dataset
from mmsrec.models.recommender import Features
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.evaluation import Evaluation
from mmsrec.settings.plan import Experiment
from mmsrec.training.batches import Batches
from mmsrec.training.model_folder import build, load
from mmsrec.training.train import train, untrained
from tests.unit.models.examples import DUOREC, MMSREC, SASREC, TRAINER, changed
from tests.unit.training.examples import chosen

TOPICS, OF_TOPIC, COLD_OF_TOPIC = 10, 12, 4
ITEMS = TOPICS * OF_TOPIC
COLD = torch.tensor([item for item in range(ITEMS) if item % OF_TOPIC < COLD_OF_TOPIC])
EXPERIMENT = Experiment("topics", 5, "cold", "variant", 0)
SETTINGS = Evaluation(candidates=["all", "unseen"], cutoffs=[3, 10], top=2)
WINDOWS = changed(TRAINER, augment="windows", max_epochs=8, patience=8)
IDS = chosen("sasrec", SASREC, WINDOWS)


def topics(users=240, seed=0):
    """Users act on warm items of one topic; two of three users end with a cold item of it."""
    generator = np.random.default_rng(seed)
    lists = []
    for user in range(users):
        topic = user % TOPICS * OF_TOPIC
        warm = generator.permutation(np.arange(COLD_OF_TOPIC, OF_TOPIC))[: generator.integers(4, 7)]
        last = [generator.integers(COLD_OF_TOPIC)] if user % 3 else []
        lists.append([*(topic + warm), *(topic + number for number in last)])
    lengths = torch.tensor([0, *map(len, lists)])
    return Sequences(torch.tensor([int(item) for items in lists for item in items]), lengths.cumsum(0))


def dataset(sequences, features=True):
    """The world with features that show an item's topic."""
    noise = 0.3 * torch.randn(ITEMS, TOPICS, generator=torch.Generator().manual_seed(1))
    vectors = torch.eye(TOPICS).repeat_interleave(OF_TOPIC, 0) + noise
    return Dataset(
        item_ids=[f"item{item}" for item in range(ITEMS)],
        users=[f"user{user}" for user in range(sequences.users)],
        sequences=sequences,
        features={"text": Features(vectors, torch.ones(ITEMS, dtype=torch.bool))} if features else {},
        inputs={},
        known_K=sequences.known_items(),
    )


@pytest.fixture(scope="module")
def sequences():
    return topics()


@pytest.fixture(scope="module")
def measured(sequences, tmp_path_factory):
    """The metrics of some models, by name."""
    models = {
        "pop": chosen("pop"),
        "sasrec": IDS,
        "features": chosen(settings=changed(MMSREC, objective="causal"), trainer=WINDOWS),
        "with ids": chosen(settings=changed(MMSREC, objective="causal", item_embedding=True), trainer=WINDOWS),
    }
    found = {}
    for name, model in models.items():
        folder = tmp_path_factory.mktemp("models")
        data = dataset(sequences, features=model.model == "mmsrec")
        train(EXPERIMENT, model, data, folder)
        scored = load(folder, data)
        evaluate(scored, data, SETTINGS, experiment=EXPERIMENT, ties="source", output=folder)
        found[name] = (read_json(folder / "metrics.json"), folder, scored)
    return found


def test_the_world_has_the_cold_items_that_it_should_have(sequences):
    known = sequences.known_items()
    assert not set(COLD.tolist()) & set(known.tolist())
    assert len(known) == ITEMS - len(COLD), "the untested users end with warm items that others know"


def test_pop_is_exactly_chance_among_the_cold(measured):
    written, *_ = measured["pop"]
    assert written["metrics"]["cold"] == pytest.approx(written["chance"]["cold"])
    assert written["chance"]["cold"]["recall@3"] == pytest.approx(3 / len(COLD))


def test_a_model_of_ids_is_near_chance_among_the_cold(measured):
    written, *_ = measured["sasrec"]
    chance = 3 / len(COLD)
    # Users of a topic have like vectors, so a cold item counts as one draw, whatever the number of its users.
    deviation = np.sqrt(chance * (1 - chance) / len(COLD))
    assert abs(written["metrics"]["cold"]["recall@3"] - chance) < 3 * deviation


@pytest.mark.parametrize("name", ["features", "with ids"])
def test_a_model_of_features_beats_chance_and_the_model_of_ids_on_cold_items(measured, name):
    cold = measured[name][0]["metrics"]["cold"]["recall@3"]
    assert cold > 5 * measured[name][0]["chance"]["cold"]["recall@3"]
    assert cold > 3 * measured["sasrec"][0]["metrics"]["cold"]["recall@3"]


def test_the_vectors_of_cold_ids_keep_their_random_directions(measured, sequences):
    *_, model = measured["sasrec"]
    start, *_ = untrained(EXPERIMENT.seed, IDS, dataset(sequences, features=False))
    similar = torch.cosine_similarity(model.item.weight, start.item.weight)
    assert similar[COLD].min() > 0.9999, "weight decay alone changes them"
    assert similar[sequences.known_items()].max() < 0.99


def test_users_with_a_cold_target_are_tested(measured, sequences):
    written, folder, _ = measured["features"]
    ends = sequences.items_A[sequences.ends(1)]
    tested = [user for user in range(sequences.users) if ends[user] in COLD]
    table = read_table(folder / "ranks.parquet", SCHEMAS["cold_ranks"])
    assert table.column("user").to_pylist() == [f"user{user}" for user in tested]
    assert table.column("target").to_pylist() == [f"item{int(ends[user])}" for user in tested]
    assert written["users"] == len(tested) == 160
    assert written["candidates"] == ["all", "unseen", "cold"]
    for protocol, columns in {"all": ("rank", "ties"), "cold": ("cold_rank", "cold_ties")}.items():
        ranks, ties = (table.column(name).to_numpy() for name in columns)
        assert written["metrics"][protocol] == pytest.approx(metrics(ranks, ties, [3, 10]))


def test_ranks_among_the_cold_equal_a_slow_count(measured, sequences):
    _, folder, model = measured["features"]
    table = read_table(folder / "ranks.parquet", SCHEMAS["cold_ranks"])
    items = model.encode_all_items()
    for row in table.slice(0, 20).to_pylist():
        user = int(row["user"].removeprefix("user"))
        *history, target = sequences.items_A[sequences.offsets_U1[user] : sequences.offsets_U1[user + 1]].tolist()
        with torch.no_grad():
            scores = (model.user_vectors(items, torch.tensor([history])) @ items.vectors_KD.T)[0]
        above = sum(bool(scores[item] > scores[target] + 1e-6) for item in COLD)
        assert row["cold_rank"] == above + 1
        assert row["cold_ties"] == 1


def test_ranks_among_all_items_are_the_usual_ranks(measured, sequences):
    *_, model = measured["features"]
    among = rank_among(model, sequences, 2, torch.arange(ITEMS))
    assert torch.equal(among.rank_U, rank(model, sequences, 2).rank_U)
    assert torch.equal(rank_among(model, sequences, 2, None).rank_U, among.rank_U)


@pytest.mark.parametrize("sampled", [0, 40])
@pytest.mark.parametrize("objective", ["causal", "masked"])
@pytest.mark.parametrize("augment", ["windows", "prefixes", "random"])
def test_no_step_reads_a_cold_item_and_targets_keep_their_items(sequences, sampled, objective, augment):
    trainer = changed(WINDOWS, sampled_items=sampled, augment=augment)
    data = dataset(sequences)
    settings = changed(MMSREC, objective=objective)
    model = build(chosen(settings=settings, trainer=trainer), data)
    known, usual = (Batches(sequences, model, trainer, known_K) for known_K in (data.known_K, None))
    for step, other in zip(known.steps(0, 1), usual.steps(0, 1), strict=True):
        assert not set(step.items_K.tolist()) & set(COLD.tolist())
        for group, same in zip(step.groups, other.groups, strict=True):
            items = torch.arange(ITEMS) if other.items_K is None else other.items_K
            assert torch.equal(step.items_K[group.targets_P], items[same.targets_P])
            real = group.inputs_BL < len(step.items_K)
            if objective == "causal":
                expected = torch.where(real, items[same.inputs_BL.clamp(max=len(items) - 1)], -1)
                found = torch.where(real, step.items_K[group.inputs_BL.clamp(max=len(step.items_K) - 1)], -1)
                assert torch.equal(found, expected)
            assert torch.equal(real, same.inputs_BL < len(items))


@pytest.mark.parametrize("sampled", [0, 40])
def test_adjusted_logits_gain_the_counts_of_known_items(sequences, sampled):
    trainer = changed(WINDOWS, sampled_items=sampled, logit_adjustment=1.0)
    data = dataset(sequences)
    counts = sequences.counts(sequences.ends(2), ITEMS)
    for step in Batches(sequences, build(chosen(trainer=trainer), data), trainer, data.known_K).steps(0, 1):
        for group in step.groups:
            torch.testing.assert_close(group.prior_K, (counts[step.items_K] + 1).log())


def test_a_model_with_companions_is_refused(sequences):
    data = dataset(sequences, features=False)
    model = build(chosen("duorec", DUOREC), data)
    with pytest.raises(TrainingError, match="items may be cold"):
        Batches(sequences, model, TRAINER, data.known_K)


def test_without_a_cold_target_there_is_no_test(sequences, measured, tmp_path):
    warm = sequences.of_users(torch.arange(0, sequences.users, 3))
    data = replace(dataset(warm, features=False), known_K=torch.arange(ITEMS))
    with pytest.raises(DataError, match="No user of a split with cold items is tested"):
        evaluate(measured["pop"][2], data, SETTINGS, experiment=EXPERIMENT, ties="source", output=tmp_path)


def test_some_users_keep_their_sequences(sequences):
    users = torch.tensor([7, 0, 100])
    some = sequences.of_users(users)
    lists = sequences.items_A.split(sequences.offsets_U1.diff().tolist())
    assert [part.tolist() for part in some.items_A.split(some.offsets_U1.diff().tolist())] == [
        lists[user].tolist() for user in users
    ]


@pytest.mark.parametrize("model", ["mmsrec", "content"])
def test_the_features_of_cold_items_are_not_fitted(sequences, tmp_path, model):
    settings = changed(MMSREC, whiten=True) if model == "mmsrec" else ContentSettings(last=3)
    one_epoch = changed(WINDOWS, max_epochs=1)
    maps = []
    for number, shift in enumerate([0.0, 100.0]):
        data = dataset(sequences)
        vectors = data.features["text"].vectors_IF.clone()
        vectors[COLD] += shift
        data = replace(data, features={"text": Features(vectors, torch.ones(ITEMS, dtype=torch.bool))})
        train(EXPERIMENT, chosen(model, settings, one_epoch), data, tmp_path / str(number))
        weights = load_file(tmp_path / str(number) / "weights.safetensors")
        maps.append({name: tensor for name, tensor in weights.items() if name.endswith(("mean", "matrix"))})
    assert len(maps[0]) == 2
    assert all(torch.equal(maps[0][name], maps[1][name]) for name in maps[0])
