"""New items by the command lines of the stages, from a shop's raw tables to vectors that fit the old ones."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML

from mmsrec.features.feature_file import read_features, read_provenance

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
OLD = [f"i{number:02}" for number in range(30)]
WORDS = ["red", "blue", "soap", "brush", "large", "small", "oil", "kit"]
SHOP = {"source": "table", "interactions": "own/actions.csv", "items": "own/items.csv", "text_fields": ["title"]}
SMALL = {"kind": "lsa", "dim": 4, "ngrams": 2, "min_items": 2, "seed": 0}
GIVEN = {"kind": "table", "text": "own/vectors.parquet"}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs a stage in a folder with the prepared shop, and with its table of today."""
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    row = {"domain": "shop", "items": "own/today.csv", "variants": ["mmsrec-text"]}
    params["domains"]["shop"] = SHOP | {"k_core": 2}
    params["encoders"] |= {"small": SMALL, "given": GIVEN}
    params["catalogues"] = {"late": row, "same": row | {"items": "own/items.csv"}}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    raw = tmp_path / "data" / "raw" / "own"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    titles = [" ".join(rng.choice(WORDS, 4)) for _ in OLD]
    items = pl.DataFrame({"item_id": OLD, "title": titles})
    items.write_csv(raw / "items.csv")
    new = pl.DataFrame({"item_id": ["n3", "n1", "n2"], "title": ["zest", titles[5], titles[8] + " zest"]})
    pl.concat([items, new]).write_csv(raw / "today.csv")
    vectors = rng.normal(size=(32, 3)).astype(np.float32)
    pl.DataFrame({"item_id": [*OLD, "n2", "n3"], "embedding": vectors.tolist()}).write_parquet(raw / "vectors.parquet")
    actions = pl.DataFrame({"user": [f"u{number % 10}" for number in range(60)], "item": OLD * 2, "timestamp": 1})
    actions.write_csv(raw / "actions.csv")
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.chdir(tmp_path)

    def run(script, *flags):
        monkeypatch.setattr(sys, "argv", [script, *flags])
        runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")

    run("ingest", "--domain=shop")
    run("prepare", "--domain=shop", "--k-core=2")
    return run


@pytest.mark.parametrize(
    ("encoder", "present"), [("small", [True, True, False]), ("given", [False, True, True])], ids=["fitted", "table"]
)
def test_the_vectors_of_new_items_are_those_of_the_old_encoder(stage, encoder, present):
    stage("ingest_items", "--catalogue=late")
    for collection in ("shop", "late"):
        stage("extract_features", f"--collection={collection}", f"--encoder={encoder}", "--modality=text")
    old, new = (Path(f"data/features/{collection}/{encoder}/text.parquet") for collection in ("shop", "late"))

    assert pl.read_parquet("data/catalogues/late/items.parquet")["item_id"].to_list() == ["n1", "n2", "n3"]
    assert read_provenance(new) == read_provenance(old)
    found = read_features(new, ["n1", "n2", "n3"])
    assert found.present.tolist() == present
    if encoder == "small":
        np.testing.assert_array_equal(found.embeddings[:2], read_features(old, [OLD[5], OLD[8]]).embeddings)


def test_a_catalogue_without_a_new_item_and_an_unknown_one_end_as_messages(stage):
    with pytest.raises(SystemExit, match="30 items are in the k-core already, 0 are new"):
        stage("ingest_items", "--catalogue=same")
    with pytest.raises(SystemExit, match="no such row"):
        stage("ingest_items", "--catalogue=early")
    with pytest.raises(SystemExit, match="An artifact is missing"):
        stage("extract_features", "--collection=late", "--encoder=small", "--modality=text")
