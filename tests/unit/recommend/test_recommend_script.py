"""The command line of recommend.py, run in this process."""

import json

import polars as pl
import pytest
from ruamel.yaml import YAML

from mmsrec.artifacts import SCHEMAS, write_table
from tests.unit.recommend.shop import VECTORS, write_items
from tests.unit.training.test_scripts import ROOT


@pytest.fixture
def recommend(run, shop, tmp_path, monkeypatch):
    """Runs the script in an empty folder; returns the first table that it wrote."""
    monkeypatch.chdir(tmp_path)

    def call(*flags, model="text", output="out.csv"):
        run("recommend.py", shop / model, "--output", output, *flags)
        return pl.read_csv(output)

    return call


def test_a_folder_is_enough(run, shop, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("recommend.py", shop / "text")
    output = "results/shop/k3/source/text/seed1/recommendations.csv"
    assert capsys.readouterr().out == f"{output}: users with recommendations: 24, left out: 0\n"
    assert pl.read_csv(output).columns == ["user", "position", "item_id", "title", "score"]


def test_users_top_and_candidates(recommend, tmp_path):
    (tmp_path / "candidates.csv").write_text("item_id\nitem6\nitem7\nitem99\n")
    found = recommend("--users", "user02", "user00", "--top", "1", "--items", "candidates.csv")
    assert found.select("user", "position").rows() == [("user02", 1), ("user00", 1)]
    assert set(found["item_id"]) <= {"item6", "item7"}


def test_histories_and_later_actions(recommend, tmp_path):
    (tmp_path / "h.csv").write_text("user,item\nzoe,item3\nzoe,item4\nmax,nothing\n")
    assert set(recommend("--histories", "h.csv")["user"]) == {"zoe"}
    assert pl.read_csv("out.left-out.csv").rows() == [("max", "no item of the history is in the catalogue")]
    before = recommend("--users", "user00")
    (tmp_path / "a.csv").write_text("user,item\nuser00,item6\n")
    after = recommend("--actions", "a.csv", "--users", "user00")
    assert "item6" in before["item_id"]
    assert "item6" not in after["item_id"]


def test_exclusions(recommend, tmp_path):
    (tmp_path / "sold-out.csv").write_text("item_id\nitem6\n")
    (tmp_path / "bought.csv").write_text("user,item\nuser00,item7\n")
    assert recommend("--users", "user00", "--exclude", "none")["item_id"].n_unique() == 8
    assert set(recommend("--users", "user00")["item_id"]) == {"item5", "item6", "item7"}
    assert set(recommend("--users", "user00", "--exclude", "seen", "sold-out.csv")["item_id"]) == {"item5", "item7"}
    found = recommend("--users", "user00", "user06", "--exclude", "seen", "bought.csv")
    assert set(found.filter(user="user00")["item_id"]) == {"item5", "item6"}


def test_a_hidden_last_item_is_marked(recommend):
    found = recommend("--hide-last", "--users", "user00")
    assert found.filter("taken")["item_id"].to_list() == ["item4"]


def test_a_page_needs_no_table(run, shop, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("recommend.py", shop / "text", "--page", "page", "--page-users", "2", "--hide-last")
    assert capsys.readouterr().out == "page/index.html\n"
    text = (tmp_path / "page" / "index.html").read_text()
    assert "user01" in text
    assert "user02" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_new_items_and_other_catalogues_are_rows(recommend, tmp_path, monkeypatch):
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    params["domains"]["other"] = params["domains"]["beauty"] | {"k_core": 2}
    row = {"domain": "other", "items": "other/new.csv", "variants": ["mmsrec-causal"]}
    params["catalogues"] = {"arrivals": row}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    monkeypatch.setattr("stage.layout.FEATURES", "{collection}/{modality}.parquet")
    monkeypatch.setattr("stage.layout.CATALOGUE_ITEMS", "{catalogue}/items.parquet")
    monkeypatch.setattr("stage.layout.ITEMS", "{domain}/items.parquet")
    monkeypatch.setattr("stage.layout.SEQUENCES", "{domain}/sequences.parquet")
    write_items(tmp_path / "arrivals", {"copy": VECTORS["item5"]})
    found = recommend("--new", "arrivals", "--users", "user00", "--params", "params.yaml")
    scores = dict(found.select("item_id", "score").rows())
    assert scores["copy"] == pytest.approx(scores["item5"], abs=1e-6)
    write_items(tmp_path / "other", {f"x{name}": vector for name, vector in VECTORS.items()})
    sequence = {"user_index": [0], "user": ["eve"], "items": [[1, 2, 3]], "timestamps": [[1, 2, 3]]}
    write_table(tmp_path / "other/sequences.parquet", pl.DataFrame(sequence).to_arrow(), SCHEMAS["sequences"])
    found = recommend("--catalogue", "other", "--params", "params.yaml")
    assert set(found["item_id"]) == {f"xitem{number}" for number in (0, 4, 5, 6, 7)}


WRONG = {
    "no such model": (["--users", "x"], "nothing", "has no config.json"),
    "unknown user": (["--users", "eve"], "text", "'eve'"),
    "unknown catalogue": (["--new", "eve"], "text", "catalogues"),
    "no such file": (["--histories", "none.csv"], "text", "missing"),
    "no format": (["--output", "out.txt"], "text", "unknown format"),
    "nothing and something": (["--exclude", "none", "seen"], "text", "nothing and something"),
}


@pytest.mark.parametrize(("flags", "model", "message"), WRONG.values(), ids=WRONG)
def test_errors_end_with_a_message(recommend, flags, model, message):
    with pytest.raises(SystemExit, match=message):
        recommend(*flags, model=model)


def test_a_number_of_items_is_above_zero(recommend, capsys):
    with pytest.raises(SystemExit):
        recommend("--top", "0")
    assert "must be a whole number from 1" in capsys.readouterr().err
