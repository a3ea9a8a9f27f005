import os
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

import mmsrec
from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError, CheckpointError, DataError, FeatureError
from mmsrec.evaluation.evaluate import evaluate
from mmsrec.files import read_json, write_json
from mmsrec.recommend import loaded
from mmsrec.recommend.pool import Request
from mmsrec.settings.evaluation import Evaluation
from mmsrec.training.model_folder import load
from tests.unit.recommend.shop import VECTORS, write_items
from tests.unit.training.test_model_folder import EXPERIMENT, ITEMS, dataset


def all_scores(model, histories):
    """Scores by user and item, from recommendations that leave out nothing."""
    best = model.recommend(histories, top=100, seen=True)
    return {(user, item): score for user, item, score in best.select("user", "item_id", "score").rows()}


def test_recommendations_are_those_of_the_evaluation(shop, tmp_path):
    data = dataset(shop)
    evaluate(
        load(shop / "text", data),
        data,
        Evaluation(candidates=["all"], cutoffs=[1], top=8),
        experiment=EXPERIMENT,
        ties="source",
        output=tmp_path,
    )
    ranks = pl.from_arrow(read_table(tmp_path / "ranks.parquet", SCHEMAS["ranks"]))
    model = mmsrec.load(shop / "text")
    request = Request(top=8, seen=True, hide_last=True)
    [part] = model.parts(model.histories, request)
    found = part.best.group_by("user", maintain_order=True).agg("item_id").rows()
    assert found == [(row["user"], [ITEMS[item] for item in row["top"]]) for row in ranks.iter_rows(named=True)]
    taken = part.best.filter("taken").select("user", "item_id", "position").rows()
    assert taken == ranks.select("user", "target", pl.col("rank").cast(pl.UInt32)).rows()


def test_scores_equal_those_of_the_evaluated_model(shop):
    data = dataset(shop)
    trained = load(shop / "text", data)
    histories = [["item3"], ["item0", "item1", "item7"], list(ITEMS)]
    found = mmsrec.load(shop / "text").scores(histories)
    for history, scores in zip(histories, found, strict=True):
        alone = trained.scores(torch.tensor([[ITEMS.index(item) for item in history]]))
        np.testing.assert_allclose(scores, alone[0].detach().numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("users_at_once", [1, 7])
def test_the_size_of_a_batch_changes_nothing(shop, monkeypatch, users_at_once):
    usual = mmsrec.load(shop / "text").recommend(top=3)
    monkeypatch.setattr(loaded, "USERS_AT_ONCE", users_at_once)
    assert mmsrec.load(shop / "text").recommend(top=3).equals(usual)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_device_changes_nothing(shop):
    first, second = (mmsrec.load(shop / "text", device=name).recommend(top=3) for name in ("cpu", "cuda"))
    assert first.drop("score").equals(second.drop("score"))


def test_a_folder_is_found_from_any_place(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "moved"
    shutil.copytree(shop, moved)
    assert mmsrec.load(moved / "text").recommend(top=2).equals(mmsrec.load(shop / "text").recommend(top=2))
    monkeypatch.chdir(moved / "text")
    assert mmsrec.load(".").recommend(top=2).height == 48


def test_a_new_item_that_is_a_copy_gets_the_score_of_the_old_one(shop, tmp_path):
    new = write_items(tmp_path, {"copy": VECTORS["item5"], "blank": None})
    model = mmsrec.load(shop / "text", new=[new])
    histories = {"ann": ["item3", "item4"], "bob": ["item1", "copy"]}
    scores = all_scores(model, histories)
    for user in histories:
        assert scores[user, "copy"] == pytest.approx(scores[user, "item5"], abs=1e-6)
    old = all_scores(mmsrec.load(shop / "text"), {"ann": histories["ann"]})
    assert {pair: scores[pair] for pair in old} == pytest.approx(old, abs=1e-6)


def test_a_new_item_without_features_is_named_and_not_recommended(shop, tmp_path, caplog):
    new = write_items(tmp_path, {"copy": VECTORS["item5"], "blank": None})
    model = mmsrec.load(shop / "text", new=[new])
    assert "1 items have no features and are not recommended, such as 'blank'" in caplog.text
    assert "blank" not in set(model.recommend({"ann": ["blank", "item1"]}, top=100)["item_id"])
    with pytest.raises(DataError, match="No candidate is left"):
        model.recommend({"ann": ["item1"]}, candidates=["blank"])


def test_a_new_item_has_no_trained_embedding(shop, tmp_path):
    new = write_items(tmp_path, {"copy": VECTORS["item5"]})
    old, grown = mmsrec.load(shop / "ids"), mmsrec.load(shop / "ids", new=[new])
    history = [["item3", "item4"]]
    np.testing.assert_allclose(grown.scores(history)[:, :8], old.scores(history), atol=1e-6)
    assert abs(grown.scores(history)[0, 8] - grown.scores(history)[0, 5]) > 1e-4


def test_a_blend_scores_a_new_item_by_the_features_alone(shop, tmp_path):
    new = write_items(tmp_path, {"new": VECTORS["item2"]})
    histories, fitted = [["item0", "item1", "item1"]], load_file(shop / "blend" / "weights.safetensors")
    weights, repeat = fitted["weights_P"].tolist(), float(fitted["repeat"])
    assert repeat < -1  # no user of the shop repeats an item
    scores = [mmsrec.load(shop / name).scores(histories)[0] for name in ("sasrec", "text", "blend")]
    ids, text, blended = scores
    repeats = repeat * np.array([item in histories[0] for item in ITEMS])
    np.testing.assert_allclose(blended, weights[0] * ids + weights[1] * text + repeats, rtol=1e-5, atol=1e-5)
    both = mmsrec.load(shop / "blend", new=[new])
    found = both.scores(histories)[0]
    np.testing.assert_allclose(found[: len(ITEMS)], blended, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[-1], weights[1] * text[ITEMS.index("item2")], rtol=1e-5, atol=1e-5)
    assert both.recommend(histories={"ann": ["item0"]}, top=9)["item_id"].to_list().count("new") == 1


def test_recommendations_with_the_history_have_the_score_of_repeats(shop):
    model, history = mmsrec.load(shop / "blend"), ["item0", "item1", "item1"]
    found = model.recommend({"ann": history}, top=len(ITEMS), seen=True)
    scores = dict(zip(model.catalogue.ids, model.scores([history])[0].tolist(), strict=True))
    assert dict(found.select("item_id", "score").iter_rows()) == pytest.approx(scores, abs=1e-5)
    assert found["score"].is_sorted(descending=True)


def test_another_catalogue_is_scored_by_its_features(shop, tmp_path):
    other = write_items(tmp_path, {f"other{number}": vector for number, vector in enumerate(VECTORS.values())})
    model = mmsrec.load(shop / "text", catalogue=other)
    assert model.catalogue.ids.to_list() == [f"other{number}" for number in range(8)]
    own = mmsrec.load(shop / "text").scores([["item2", "item3"]])
    np.testing.assert_allclose(model.scores([["other2", "other3"]]), own, atol=1e-6)
    with pytest.raises(DataError, match="No users are known"):
        model.recommend()


def test_items_of_the_history_are_left_out_unless_they_are_asked_for(shop):
    model = mmsrec.load(shop / "text")
    history = {"ann": ["item1", "item2", "item1"]}
    assert set(model.recommend(history, top=8)["item_id"]) == {*ITEMS} - {"item1", "item2"}
    assert set(model.recommend(history, top=8, seen=True)["item_id"]) == {*ITEMS}


def test_candidates_and_exclusions(shop):
    model = mmsrec.load(shop / "text")
    history = {"ann": ["item1"]}
    candidates = ["item6", "item2", "item1"]
    assert set(model.recommend(history, candidates=candidates)["item_id"]) == {"item6", "item2"}
    assert model.recommend(history, candidates=candidates, exclude=["item2"])["item_id"].to_list() == ["item6"]
    pairs = pl.DataFrame({"user": ["ann", "bob"], "item": ["item2", "item6"]})
    [part] = model.parts(model._rows(history), Request(candidates=candidates, excluded=pairs))
    assert part.best["item_id"].to_list() == ["item6"]


def test_users_without_a_recommendation_are_listed_with_the_reason(shop):
    model = mmsrec.load(shop / "text")
    histories = {"new": [], "far": ["x"], "full": list(ITEMS), "ann": ["item1"]}
    [part] = model.parts(model._rows(histories), Request(top=1))
    assert part.best["user"].to_list() == ["ann"]
    assert dict(part.left_out.rows()) == {
        "new": "the history is empty",
        "far": "no item of the history is in the catalogue",
        "full": "every candidate is excluded",
    }
    with pytest.raises(DataError, match=r"(?s)No user gets.*every candidate is excluded"):
        model.recommend({"full": list(ITEMS)})


def test_unknown_users_and_items_are_named(shop, caplog):
    model = mmsrec.load(shop / "text")
    with pytest.raises(DataError, match="'eve'"):
        model.recommend(["user00", "eve"])
    with pytest.raises(DataError, match=r"(?s)None of the 2 items.*'item0'.*'Item1'"):
        model.recommend({"ann": ["Item1", "Item2"]})
    model.recommend({"ann": ["Item1", "item2"]})
    assert "1 of 2 items are not in the catalogue and are left out, such as 'Item1'" in caplog.text
    with pytest.raises(DataError, match="the item Item1"):
        model.scores([["Item1"]])


def test_the_number_of_items_is_above_zero(shop):
    with pytest.raises(DataError, match="too small"):
        mmsrec.load(shop / "text").recommend(top=0)


def test_a_model_of_ids_cannot_score_other_items(shop, tmp_path):
    new = write_items(tmp_path, {"copy": VECTORS["item5"]})
    assert mmsrec.load(shop / "sasrec").recommend(top=2).height == 48
    with pytest.raises(CheckpointError, match="by their ids alone"):
        mmsrec.load(shop / "sasrec", new=[new])


@pytest.mark.parametrize(
    "written", [{"digest": "wrong"}, {"weights": "fitted on other texts"}], ids=["encoder", "weights"]
)
def test_features_of_another_encoder_are_refused(shop, tmp_path, written):
    new = write_items(tmp_path, {"copy": VECTORS["item5"]}, **written)
    with pytest.raises(FeatureError, match="another encoder"):
        mmsrec.load(shop / "text", new=[new])


def test_an_item_is_in_the_catalogue_once(shop, tmp_path):
    new = write_items(tmp_path, {"item5": VECTORS["item5"]})
    with pytest.raises(DataError, match="twice"):
        mmsrec.load(shop / "text", new=[new])


def test_missing_and_changed_files_are_refused(shop, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shop, copy)
    shutil.copy(copy / "items.parquet", copy / "data" / "items.parquet")
    with pytest.raises(CheckpointError, match="has changed since"):
        mmsrec.load(copy / "text")
    shutil.copy(shop / "data" / "items.parquet", copy / "data" / "items.parquet")
    os.remove(copy / "text.parquet")
    with pytest.raises(ArtifactError, match=r"(?s)is missing.*text.parquet"):
        mmsrec.load(copy / "text")
    config = read_json(copy / "text" / "config.json")
    write_json(copy / "text" / "config.json", config | {"files": {}})
    with pytest.raises(CheckpointError, match="does not record the files"):
        mmsrec.load(copy / "text")


def test_scores_that_are_not_finite_are_refused(shop, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shop, copy)
    weights = load_file(copy / "text" / "weights.safetensors")
    save_file({name: tensor * torch.nan for name, tensor in weights.items()}, copy / "text" / "weights.safetensors")
    with pytest.raises(CheckpointError, match="not finite"):
        mmsrec.load(copy / "text").recommend()
