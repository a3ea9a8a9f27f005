import math
import random
import shutil

import pytest
import torch

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError, CheckpointError, FeatureError, TrainingError
from mmsrec.nn.views import Items, encode_views
from mmsrec.pairs.read import Pairs
from mmsrec.settings.pretraining import PretrainingRow, Weights
from mmsrec.training import pretrain_step
from mmsrec.training.distributed import Processes
from mmsrec.training.encoder_folder import load_pretrained, read_pretrained_config
from mmsrec.training.pretrain import pretrain
from mmsrec.training.weights import read_weights
from tests.unit.training.examples import PRETRAINING
from tests.unit.training.pairs import batch, corpus
from tests.unit.training.wrong_configs import MISSING, change_config

ALONE = Processes(torch.device("cpu"))
ROW = PretrainingRow(corpus="corpus", encoder="clip", seed=3)
STEPS = 9  # 96 pairs, 32 a step, 3 epochs


class Killed(Exception):
    pass


@pytest.fixture
def folder(tmp_path):
    corpus(tmp_path / "pairs", batch())
    return tmp_path


def run(folder, name="model", settings=PRETRAINING, killed_at=None, save_minutes=0.0):
    """Pre-trains and returns the losses of the steps."""
    losses = {}

    def observe(step, row):
        if step == killed_at:
            raise Killed
        losses[step] = row

    try:
        pretrain(
            "row",
            ROW,
            settings,
            Pairs(folder / "pairs"),
            folder / name,
            ALONE,
            save_minutes=save_minutes,
            observe=observe,
        )
    except Killed:
        assert killed_at
    return losses


def history(folder):
    table = read_table(folder / "history.parquet", SCHEMAS["pretrain_history"])
    return table.drop_columns("seconds").to_pylist()


def test_pretraining_matches_texts_with_their_vision(folder):
    settings = PRETRAINING.model_copy(update={"max_epochs": 30})
    run(folder, settings=settings, save_minutes=60.0)
    rows = history(folder / "model")
    assert [row["epoch"] for row in rows] == list(range(1, 31))
    assert rows[-1]["vt"] < 0.5 * rows[0]["vt"]
    assert rows[0]["learning_rate"] == PRETRAINING.learning_rate
    assert rows[2]["learning_rate"] == pytest.approx(PRETRAINING.learning_rate * 0.81)
    assert all(row["pairs"] == 96 for row in rows)

    views = encode_views(load_pretrained(folder / "model"), Items.of(batch(missing=0), ALONE.device), ["v", "t"])
    found = (views["v"] @ views["t"].T).argmax(1) == torch.arange(96)
    assert found.float().mean() > 0.5


def test_an_epoch_of_one_step_has_the_losses_of_that_step(folder):
    settings = PRETRAINING.model_copy(update={"batch_size": 96, "max_epochs": 1})
    losses = run(folder, settings=settings)
    (row,) = history(folder / "model")
    assert {name: row[name] for name in losses[1]} == pytest.approx(losses[1])
    assert row["loss"] == pytest.approx(0.25 * sum(row[name] for name in ("vv", "tt", "vt", "both")))


@pytest.mark.parametrize("save_minutes", [0.0, 60.0])
def test_a_run_killed_at_a_random_step_ends_as_an_uninterrupted_one(folder, save_minutes):
    uninterrupted = run(folder, "uninterrupted")
    assert len(uninterrupted) == STEPS
    killed_at = random.Random(save_minutes).randint(2, STEPS)
    before = run(folder, "killed", killed_at=killed_at, save_minutes=save_minutes)
    after = run(folder, "killed", save_minutes=save_minutes)
    # Without checkpoints between steps it continues after the last finished epoch.
    assert min(after) == ((killed_at - 1) // 3 * 3 + 1 if save_minutes else killed_at)
    assert before | after == uninterrupted
    assert history(folder / "killed") == history(folder / "uninterrupted")
    weights, expected = (read_weights(folder / name) for name in ("killed", "uninterrupted"))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_killed_run_keeps_its_whitening(folder):
    settings = PRETRAINING.model_copy(update={"whiten": True})
    uninterrupted = run(folder, "uninterrupted", settings=settings)
    before = run(folder, "killed", settings=settings, killed_at=5)
    assert before | run(folder, "killed", settings=settings) == uninterrupted


def test_an_older_checkpoint_replaces_a_damaged_one(folder, caplog):
    uninterrupted = run(folder, "uninterrupted")
    run(folder, "killed", killed_at=6)
    _, newest = sorted((folder / "killed").glob("checkpoint-*.pt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    after = run(folder, "killed")
    assert newest.name in caplog.text
    assert after == {step: uninterrupted[step] for step in after}
    assert min(after) == 5


def test_damage_to_every_checkpoint_is_an_error(folder):
    run(folder, killed_at=6)
    for path in (folder / "model").glob("checkpoint-*.pt"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        run(folder)


def test_temporary_files_of_a_killed_save_are_removed(folder):
    (folder / "model").mkdir()
    (folder / "model" / ".checkpoint-x.pt.abc.tmp").touch()
    run(folder)
    assert {path.name for path in (folder / "model").iterdir()} == {
        "weights.safetensors",
        "config.json",
        "history.parquet",
    }


def test_the_config_records_everything_that_decides_the_weights(folder):
    run(folder)
    config = read_pretrained_config(folder / "model")
    assert (config.corpus, config.encoder, config.seed, config.pairs) == ("corpus", "clip", 3, 96)
    assert (config.encoder_digest, config.widths) == ("right", {"vision": 10, "text": 8})
    assert config.untrained == []
    corpus(folder / "pairs", batch(seed=1))
    run(folder, "other")
    assert read_pretrained_config(folder / "other").corpus_digest != config.corpus_digest


def test_the_config_names_tensors_without_gradient(folder):
    vision_alone = Weights(vv=1.0, tt=0.0, vt=0.0, both=0.0)
    run(folder, settings=PRETRAINING.model_copy(update={"missing": "drop", "weights": vision_alone}))
    untrained = read_pretrained_config(folder / "model").untrained
    assert "embedding.mask.weight" in untrained
    assert {name.split(".")[-2] for name in untrained if "output" in name} == {"text"}
    assert not [name for name in untrained if "vision" in name]


def test_pairs_without_the_compared_features_are_an_error(tmp_path):
    pairs = batch(missing=0)
    corpus(tmp_path / "pairs", pairs._replace(text_present=pairs.text_present & False))
    text_alone = Weights(vv=0.0, tt=1.0, vt=0.0, both=0.0)
    with pytest.raises(FeatureError, match="No pair of a corpus"):
        run(tmp_path, settings=PRETRAINING.model_copy(update={"weights": text_alone}))


def test_a_loss_that_is_not_finite_ends_the_training(folder, monkeypatch):
    step = pretrain_step.train_step
    monkeypatch.setattr("mmsrec.training.pretrain.train_step", lambda *given: step(*given) | {"vt": math.inf})
    with pytest.raises(TrainingError, match="learning_rate"):
        run(folder)
    assert not (folder / "model" / "weights.safetensors").exists()


def test_a_folder_without_a_config_is_an_error(folder):
    with pytest.raises(ArtifactError, match=r"config\.json"):
        load_pretrained(folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of an item encoder after one step."""
    folder = tmp_path_factory.mktemp("small")
    corpus(folder / "pairs", batch())
    run(folder, settings=PRETRAINING.model_copy(update={"max_epochs": 1, "batch_size": 96}))
    return folder / "model"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extra", 1),
        ("widths", MISSING),
        ("seed", "3"),
        ("widths.text", -1),
        ("settings.depth", 1),
        ("settings.dim", MISSING),
        ("settings.weights.vv", "much"),
    ],
)
def test_a_config_that_does_not_fit_is_an_error_that_names_the_key(small, tmp_path, key, value):
    shutil.copytree(small, tmp_path / "model")
    change_config(tmp_path / "model" / "config.json", key, value)
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(tmp_path / "model")
    assert caught.value.details["where"] == f"{tmp_path / 'model' / 'config.json'}: {key}"
    assert caught.value.details.keys() == {"where", "expected", "found", "fix"}


@pytest.mark.parametrize("content", [b"", b"no", b"\xff", b"[]", b"[" * 100_000])
def test_a_damaged_config_is_an_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_pretrained(tmp_path)
