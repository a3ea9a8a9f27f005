"""The stages of a corpus, by their command lines: from raw files to the pairs that pre-training reads."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from mmsrec.features.encoders import encoder_digest
from mmsrec.files import read_json
from mmsrec.pairs.read import Pairs
from mmsrec.settings.encoding import OpenClipEncoder
from tests.unit.features.worlds import TINY, write_architecture
from tests.unit.sources.hubs import COMMIT, REPOSITORY, hub
from tests.unit.sources.tars import some_clips, write_clips

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
VIDEOS = ROOT / "tests" / "unit" / "features" / "clips"
WIDTH = TINY["embed_dim"]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs a stage for a row of `corpora`, with a tiny encoder of seeded weights; gives its exit status."""
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    encoder = {"kind": "open_clip", "model": str(write_architecture(tmp_path)), "weights": "seeded", "seed": 0}
    shards = {
        "kind": "shards",
        "repository": REPOSITORY,
        "files": "data/*.tar",
        "frames": "first",
        "count": 3,
        "keep": "mean",
    }
    clips = {"kind": "clips", "captions": "set/captions.csv", "videos": "set/videos/{item_id}"}
    params["encoders"]["tiny"] = encoder
    params["corpora"] |= {"shards": shards, "clips": clips}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.chdir(tmp_path)

    def run(script, *flags):
        monkeypatch.setattr(sys, "argv", [script, "--params=params.yaml", *flags])
        runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")

    return run


def digest(folder):
    row = OpenClipEncoder(kind="open_clip", model=str(folder / "tiny_test_clip.json"), weights="seeded", seed=0)
    return encoder_digest(row)


def test_shards_from_the_hub_become_pairs(stage, serve, tmp_path):
    clips = {f"data/{number}.tar": some_clips(30, WIDTH, number, f"{number}-") for number in range(3)}
    bodies = {path: write_clips(tmp_path / "made" / path, parts).read_bytes() for path, parts in clips.items()}
    server = serve({})
    routes = hub(bodies, "data", server.base)
    server.routes |= {path: [reply] for path, reply in routes.items()}

    # A separate process, because huggingface_hub reads the environment when it is imported.
    command = [
        sys.executable,
        SCRIPTS / "download_corpus.py",
        "--params=params.yaml",
        "--corpus=shards",
        "--output=raw",
    ]
    environment = os.environ | {"HF_ENDPOINT": server.base, "HF_HOME": str(tmp_path / "home"), "MMSREC_MIRROR": ""}
    subprocess.run(command, env=environment, check=True, timeout=120)
    stage("encode_pairs", "--corpus=shards", "--encoder=tiny", "--raw=raw", "--shard=2", "--output=pairs")
    stage("encode_pairs", "--corpus=shards", "--encoder=tiny", "--raw=raw", "--output=pairs")

    assert read_json(tmp_path / "raw/shards.json")["commit"] == COMMIT
    pairs = Pairs(tmp_path / "pairs", digest(tmp_path))
    ids, found = pairs.read_all()
    assert ids == [key for parts in clips.values() for key, _, _ in parts]
    frames = [frames for parts in clips.values() for _, frames, _ in parts]
    means = np.array([vectors[:3].astype(np.float32).mean(axis=0) for vectors in frames])
    np.testing.assert_allclose(found.vision, means, rtol=2e-3, atol=1e-3)
    assert found.text_present.all()
    assert sum(len(batch.text) for batch in pairs.batches(16, 0, 0)) == 90


def test_a_mirror_serves_the_shards_of_a_corpus(stage, tmp_path, monkeypatch):
    write_clips(tmp_path / "mirror/hub" / REPOSITORY / "data/0.tar", some_clips(3, WIDTH))
    monkeypatch.setenv("MMSREC_MIRROR", f"https://mirror.invalid, {tmp_path / 'mirror'}")
    stage("download_corpus", "--corpus=shards", "--output=raw")
    assert (tmp_path / "raw/data/0.tar").is_file()


def test_captioned_videos_become_pairs(stage, tmp_path):
    names = ["variable.mp4", "vp9.webm", "open_gop.mp4"]
    rows = [
        (names[0], "a first caption"),
        (names[1], "another"),
        (names[0], "a second one"),
        (names[2], "a third"),
        ("none.mp4", "of no video"),
    ]
    (tmp_path / "raw/set/videos").mkdir(parents=True)
    lines = ["video_id,caption", *(f"{name},{caption}" for name, caption in rows)]
    (tmp_path / "raw/set/captions.csv").write_text("\n".join(lines))
    for name in names:
        shutil.copy(VIDEOS / name, tmp_path / "raw/set/videos" / name)

    stage("ingest_clips", "--corpus=clips", "--raw=raw", "--output=processed")
    stage("collect_clips", "--corpus=clips", "--raw=raw", "--items=processed/items.parquet", "--output=media")
    stage("sample_frames", "--collection=clips", "--media=media", "--output=frames.parquet")
    extract = ("extract_features", "--collection=clips", "--encoder=tiny")
    stage(
        *extract,
        "--modality=vision",
        "--items=processed/items.parquet",
        "--frames=frames.parquet",
        "--output=vision.parquet",
    )
    stage(*extract, "--modality=text", "--items=processed/captions.parquet", "--output=text.parquet")
    stage(
        "pair_features",
        "--corpus=clips",
        "--encoder=tiny",
        "--captions=processed/captions.parquet",
        "--vision=vision.parquet",
        "--text=text.parquet",
        "--output=pairs",
    )
    ids, found = Pairs(tmp_path / "pairs", digest(tmp_path)).read_all()
    assert ids == ["variable.mp4#0", "vp9.webm#0", "variable.mp4#1", "open_gop.mp4#0"]
    assert found.vision_present.all()
    np.testing.assert_array_equal(found.vision[0], found.vision[2])
    assert (found.vision[0] != found.vision[1]).any()
    assert len(np.unique(found.text, axis=0)) == 4


def test_a_corpus_of_another_kind_ends_as_a_message(stage):
    with pytest.raises(SystemExit, match="The corpus is of another kind"):
        stage("ingest_clips", "--corpus=shards", "--output=processed")
