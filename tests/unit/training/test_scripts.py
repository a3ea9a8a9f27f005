"""The command lines of training stages, run in this process."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.features.encoders import encoder_digest
from mmsrec.features.feature_file import Provenance
from mmsrec.files import read_json, sha256
from mmsrec.pairs.read import PairBatch
from mmsrec.pairs.write import write_pairs
from mmsrec.settings.params import read_params
from mmsrec.training.encoder_folder import read_pretrained_config
from tests.unit.models.examples import BLOCKS, UNISREC
from tests.unit.models.released import DIM, FEEDFORWARD, HEADS, Released
from tests.unit.training.examples import PRETRAINING, SETTINGS, TRAINER
from tests.unit.training.test_model_folder import write_shop, write_text

ROOT = Path(__file__).parents[3]
PAIRS = 60
NAMES = ("--domain=shop", "--k-core=1", "--split=source")


@pytest.fixture
def run(monkeypatch):
    """Runs a stage with flags."""
    monkeypatch.syspath_prepend(ROOT / "workflow" / "scripts")

    def call(script, *flags):
        monkeypatch.setattr(sys, "argv", [script, *map(str, flags)])
        runpy.run_path(str(ROOT / "workflow" / "scripts" / script), run_name="__main__")

    return call


def write_params(folder):
    """The parameters with a small pre-training of two epochs; returns the digest of its encoder."""
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    params["pretraining"] = PRETRAINING.model_dump() | {"batch_size": 20}
    params["pretrainings"]["webvid"]["settings"] = {"max_epochs": 2}
    (folder / "params.yaml").write_text(json.dumps(params))
    read = read_params(folder / "params.yaml")
    return encoder_digest(read.encoders[read.pretrainings["webvid"].encoder])


def write_corpus(folder, digest):
    random = np.random.default_rng(0)
    text = random.normal(size=(PAIRS, 8)).astype(np.float16)
    vision = (text + 0.1 * random.normal(size=text.shape)).astype(np.float16)
    present = np.ones(PAIRS, bool)
    ids = [f"clip{number}" for number in range(PAIRS)]
    write_pairs(folder, ids, PairBatch(vision, present, text, present), Provenance("clip", digest, "", "", ""))


def pretrain_flags(folder):
    return (
        f"--params={folder / 'params.yaml'}",
        "--pretraining=webvid",
        f"--pairs={folder / 'pairs'}",
        f"--output={folder / 'model'}",
        "--device=cpu",
    )


def test_pretraining_and_retrieval_write_metrics(run, tmp_path):
    write_corpus(tmp_path / "pairs", write_params(tmp_path))
    run("pretrain.py", *pretrain_flags(tmp_path))
    flags = (f"--pairs={tmp_path / 'pairs'}", f"--model={tmp_path / 'model'}", f"--output={tmp_path / 'results'}")
    run(
        "evaluate_retrieval.py",
        f"--params={tmp_path / 'params.yaml'}",
        "--pretraining=webvid",
        "--corpus=test",
        *flags,
        "--device=cpu",
    )
    written = read_json(tmp_path / "results" / "metrics.json")
    assert (written["pretraining"], written["corpus"], written["pairs"]) == ("webvid", "test", PAIRS)
    assert set(written["metrics"]) == {"pretrained", "untrained", "encoder"}
    assert written["metrics"]["pretrained"] != written["metrics"]["untrained"]
    assert written["metrics"]["encoder"]["text_to_video"]["recall@1"] > 0.9
    assert written["chance"]["recall@1"] == pytest.approx(1 / PAIRS)


def test_pairs_from_another_encoder_are_an_error(run, tmp_path):
    write_params(tmp_path)
    write_corpus(tmp_path / "pairs", "another")
    with pytest.raises(SystemExit, match="stale"):
        run("pretrain.py", *pretrain_flags(tmp_path))


def test_an_imported_checkpoint_becomes_a_pretrained_encoder(run, tmp_path):
    write_params(tmp_path)
    params = read_json(tmp_path / "params.yaml")
    sizes = {"dim": DIM, "heads": HEADS, "feedforward": FEEDFORWARD}
    params["pretrainings"]["webvid"]["settings"] = params["pretrainings"]["released"]["settings"] | sizes
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    torch.save(Released(20).checkpoint(), tmp_path / "fusion_model.pth")
    flags = (f"--params={tmp_path / 'params.yaml'}", f"--output={tmp_path / 'model'}", "--pretraining=webvid")
    run("import_pretrained.py", *flags, f"--file={tmp_path / 'fusion_model.pth'}")
    assert read_pretrained_config(tmp_path / "model").imported == sha256(tmp_path / "fusion_model.pth")
    with pytest.raises(SystemExit, match="cannot be read"):
        run("import_pretrained.py", *flags, f"--file={tmp_path / 'params.yaml'}")


def test_the_flag_tensorboard_without_the_package_is_an_error(run, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "mmsrec.training.tensorboard", raising=False)
    write_corpus(tmp_path / "pairs", write_params(tmp_path))
    with pytest.raises(SystemExit, match="TensorBoard is not installed"):
        run("pretrain.py", *pretrain_flags(tmp_path), f"--tensorboard={tmp_path / 'events'}")


@pytest.fixture
def shop(tmp_path):
    """Writes a shop with text features; returns a function that gives the flags of its training."""
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    params["trainer"] = TRAINER.model_dump()
    unisrec = UNISREC.model_dump()
    params["models"] = {
        "mmsrec": {"settings": SETTINGS.model_dump()},
        "unisrec": {"settings": unisrec},
        "unisrec-pretraining": {"settings": unisrec | {"sequence_weight": 0.1, "item_drop": 0.2}},
    }
    params["domains"] = {"shop": params["domains"]["demo-shop"]}
    params["corpora"], params["pretrainings"], params["catalogues"] = {}, {}, {}
    params["variants"] = {
        "pop": {"model": "pop"},
        "text": {"model": "mmsrec", "encoders": {"text": "lsa"}},
        "first": {"model": "unisrec-pretraining", "encoders": {"text": "lsa"}},
        "later": {"model": "unisrec", "encoders": {"text": "lsa"}, "starts_from": {"variant": "first"}},
    }
    params["reports"] = {}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    write_shop(tmp_path, actions=5)
    (tmp_path / "features" / "lsa").mkdir(parents=True)
    write_text(tmp_path / "features" / "lsa", encoder_digest(read_params(tmp_path / "params.yaml").encoders["lsa"]))

    def flags(variant, output="model"):
        named = {
            "params": "params.yaml",
            "items": "data/items.parquet",
            "sequences": "data/sequences.parquet",
            "features": "features",
            "pretrained": "pre",
            "output": output,
        }
        paths = [f"--{flag}={tmp_path / name}" for flag, name in named.items()]
        return [*paths, *NAMES, f"--variant={variant}", "--seed=0", "--device=cpu"]

    return flags


def test_a_training_writes_its_model(run, shop, tmp_path):
    run("train.py", *shop("text"))
    history = read_table(tmp_path / "model" / "history.parquet", SCHEMAS["history"])
    assert history.num_rows == TRAINER.max_epochs


def test_attributes_are_written_once_and_read_by_the_models_that_need_them(run, shop, tmp_path):
    params = read_json(tmp_path / "params.yaml")
    own = {"source": "table", "interactions": "own/sales.csv", "items": "own/items.csv", "attributes": {}}
    params["domains"]["shop"] = own | {"text_fields": ["title"], "k_core": 5}
    params["models"]["fdsa"] = {"settings": BLOCKS}
    params["variants"]["fields"] = {"model": "fdsa"}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "items.csv").write_text("item_id,attributes\nitem1,brand=a|kind=x\nitem0,brand=b\n")
    table = tmp_path / "attributes.parquet"
    named = (f"--params={tmp_path / 'params.yaml'}", "--domain=shop", "--k-core=1", f"--raw={tmp_path}")
    run("attributes.py", *named, f"--items={tmp_path / 'data/items.parquet'}", f"--output={table}")
    assert read_table(table, SCHEMAS["attributes"]).column("attributes").to_pylist()[:2] == [
        ["brand=b"],
        ["brand=a", "kind=x"],
    ]
    run("train.py", *shop("fields"), f"--attributes={table}")
    assert read_json(tmp_path / "model" / "config.json")["inputs"]["attributes.parquet"] == sha256(table)

    del params["domains"]["shop"]["attributes"]
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    for script, flags in {"train.py": shop("fields"), "attributes.py": named}.items():
        with pytest.raises(SystemExit, match=r"add `attributes: \{\}`"):
            run(script, *flags)


def test_a_split_with_cold_items_is_written_trained_on_and_tested(run, shop, tmp_path):
    params = read_json(tmp_path / "params.yaml")
    params["splits"]["cold"] = {"ties": "source", "cold_items": 0.2}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    core = (f"--core={tmp_path / 'data'}", f"--output={tmp_path / 'data/sequences.parquet'}")
    run("split.py", f"--params={tmp_path / 'params.yaml'}", "--domain=shop", "--k-core=1", "--split=cold", *core)
    run("train.py", *shop("text"), "--split=cold")
    flags = [flag for flag in shop("text", "results") if not flag.startswith("--pretrained")]
    run("evaluate.py", *flags, "--split=cold", f"--model={tmp_path / 'model'}")
    ranks = read_table(tmp_path / "results" / "ranks.parquet", SCHEMAS["cold_ranks"])
    assert len(set(ranks.column("target").to_pylist())) == 2
    assert max(ranks.column("cold_rank").to_pylist()) <= 2
    assert read_json(tmp_path / "results" / "metrics.json")["candidates"] == ["all", "unseen", "cold"]


def test_a_training_starts_from_the_folder_of_another(run, shop, tmp_path):
    run("train.py", *shop("first", "start"))
    run("train.py", *shop("later"), f"--start={tmp_path / 'start'}")
    start = read_json(tmp_path / "model" / "config.json")["start"]
    assert start["experiment"]["variant"] == "first"
    assert start["weights"] == sha256(tmp_path / "start" / "weights.safetensors")


def test_the_folder_of_the_start_comes_from_the_parameters(run, shop, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"models/shop/k1/source/first/seed0/config\.json"):
        run("train.py", *shop("later"))


def test_a_start_for_a_variant_without_one_is_an_error(run, shop, tmp_path):
    with pytest.raises(SystemExit, match=r"random weights(.|\n)*variants\.text(.|\n)*starts_from"):
        run("train.py", *shop("text"), f"--start={tmp_path / 'start'}")


def test_a_pretraining_is_not_evaluated(run, shop, tmp_path):
    run("train.py", *shop("first"))
    flags = [flag for flag in shop("first", "results") if not flag.startswith("--pretrained")]
    with pytest.raises(SystemExit, match="makes no recommendations"):
        run("evaluate.py", *flags, f"--model={tmp_path / 'model'}")
    assert not (tmp_path / "results").exists()


def test_a_profile_is_printed_and_nothing_is_written(run, shop, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mmsrec.training.profile.PEAK_SIZE", 64)
    run("train.py", *shop("text"), "--profile=2")
    assert "2 steps of 32 sequences" in capsys.readouterr().out
    assert not (tmp_path / "model").exists()


def test_a_profile_of_a_model_that_counts_is_an_error(run, shop):
    with pytest.raises(SystemExit, match="This model has no steps to profile"):
        run("train.py", *shop("pop"), "--profile=2")


def test_a_profile_of_no_steps_is_an_error(run, shop, capsys):
    with pytest.raises(SystemExit):
        run("train.py", *shop("text"), "--profile=0")
    assert "must be a whole number from 1" in capsys.readouterr().err
