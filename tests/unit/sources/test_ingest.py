import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArtifactError, DataError, ParseError
from mmsrec.files import read_json
from mmsrec.settings.data import Domain
from mmsrec.sources.ingest import SOURCES, ingest

ROOT = Path(__file__).parents[3]


def interactions_of(folder):
    return pl.from_arrow(read_table(folder / "interactions.parquet", SCHEMAS["interactions"]))


def items_of(folder):
    return pl.from_arrow(read_table(folder / "items.parquet", SCHEMAS["raw_items"]))


@pytest.fixture
def shop(tmp_path):
    """The raw files of an Amazon-like shop."""
    ratings, metadata = tmp_path / "ratings.csv", tmp_path / "meta.json.gz"
    ratings.write_text("u2,B2,5.0,30\nu1,B1,5.0,20\nu1,B2,5.0,10\n")
    lines = ["{'asin': 'B1', 'title': 'Soap'}", "{'asin': 'B2'}", "{'asin': 'B1', 'title': 'Soap again'}"]
    metadata.write_bytes(gzip.compress("\n".join(lines).encode()))
    return ratings, metadata


def test_every_source_in_the_settings_has_readers():
    assert set(get_args(Domain.model_fields["source"].annotation)) == set(SOURCES)


def test_both_tables_follow_their_schema_and_the_order_of_the_source(shop, tmp_path):
    ingest("amazon", *shop, ["title"], tmp_path / "out")
    assert interactions_of(tmp_path / "out").rows() == [("u2", "B2", 30), ("u1", "B1", 20), ("u1", "B2", 10)]
    assert items_of(tmp_path / "out").rows() == [("B1", "Soap", "Soap", None), ("B2", None, None, None)]
    assert sorted(os.listdir(tmp_path / "out")) == ["interactions.parquet", "items.parquet"]


def test_the_first_description_wins_across_batches(tmp_path, caplog):
    ratings, metadata = tmp_path / "ratings.csv", tmp_path / "meta.json.gz"
    ratings.write_text("u,B1,5.0,1\n")
    padding = "x" * 4000
    lines = [repr({"asin": f"B{number % 3000}", "title": f"{number} {padding}"}) for number in range(6000)]
    metadata.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    ingest("amazon", ratings, metadata, ["title"], tmp_path / "out")
    assert items_of(tmp_path / "out")["title"].str.split(" ").list.first().to_list() == [str(n) for n in range(3000)]
    assert "3,000 further descriptions" in caplog.text


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_further_tables_give_text_fields_by_item_id(shop, tmp_path, caplog, suffix):
    plots, places = tmp_path / f"plots.{suffix}", tmp_path / "places.csv"
    table = pl.DataFrame({"movie": ["B9", "B2", "B2"], "plot": ["Lost.", 'A "soft" brush, blue', "again"]})
    match suffix:
        case "csv":
            table.write_csv(plots)
        case "tsv":
            plots.write_text("\n".join("\t".join(row) for row in [tuple(table.columns), *table.rows()]))
        case "parquet":
            table.write_parquet(plots)
    places.write_text("country,item_id\nFrance,B1\n")
    with caplog.at_level("INFO"):
        ingest("amazon", *shop, ["title", "plot", "country"], tmp_path / "out", [plots, places])
    assert items_of(tmp_path / "out")["text"].to_list() == ["Soap. France", 'A "soft" brush, blue']
    assert f"{plots}: 1 of 2 items have a row; 1 ids are unknown, such as B9" in caplog.text
    assert f"{places}: 1 of 2 items have a row" in caplog.text


@pytest.mark.parametrize(
    ("tables", "fields", "reason"),
    [
        (["id,plot\nB1,x\n"], ["title", "story"], "title, description, brand, categories, plot"),
        (["id,title\nB1,x\n"], ["title"], "a field that the items already have"),
        (["id,plot\nB1,x\n", "id,plot\nB1,x\n"], ["plot"], "have the same field"),
        (["id\nB1\n"], ["title"], "too few columns"),
        (["id,plot\n"], ["plot"], "has no rows"),
        (["id,plot\nB1,\xff\n"], ["plot"], "cannot be read"),
        (["id,plot\nB1,x,y\nB2,x,y\nB3,x\n"], ["plot"], "malformed"),
        ([""], ["plot"], "too few columns"),
    ],
)
def test_a_further_table_that_does_not_fit_is_an_error(shop, tmp_path, tables, fields, reason):
    paths = [tmp_path / f"texts{number}.csv" for number in range(len(tables))]
    for path, text in zip(paths, tables, strict=True):
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises((ParseError, DataError)) as error:
        ingest("amazon", *shop, fields, tmp_path / "out", paths)
    assert reason in str(error.value)
    assert "texts0.csv" in str(error.value) or "meta.json.gz" in str(error.value)


def test_the_error_for_a_missing_file_names_it(shop, tmp_path):
    with pytest.raises(ArtifactError, match="missing") as caught:
        ingest("amazon", shop[0], tmp_path / "none.json.gz", ["title"], tmp_path / "out")
    assert "none.json.gz" in str(caught.value)


def test_an_error_leaves_no_partial_table(shop, tmp_path):
    ratings, metadata = shop
    metadata.write_bytes(metadata.read_bytes()[:-9])
    with pytest.raises(ParseError, match="truncated"):
        ingest("amazon", ratings, metadata, ["title"], tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_one_archive_may_hold_both_tables(tmp_path):
    archive = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("ml-1m/ratings.dat", "1::7::5::978300000\n")
        opened.writestr("ml-1m/movies.dat", "7::Sabrina (1995)::Comedy|Romance\n")
    ingest("movielens", archive, archive, ["title", "genres"], tmp_path / "out")
    assert items_of(tmp_path / "out")["text"].item() == "Sabrina (1995). Comedy, Romance"


@pytest.mark.parametrize(
    ("interactions", "items", "source", "fields", "rows", "users", "used", "described"),
    [
        ("amazon/ratings_Beauty.csv", "amazon/meta_Beauty.json.gz", "amazon", "title", 198_502, 22_363, 12_101, 12_101),
        (
            *("amazon/ratings_Toys_and_Games.csv", "amazon/meta_Toys_and_Games.json.gz", "amazon", "title"),
            *(167_597, 19_412, 11_924, 11_924),
        ),
        ("ml-1m/ml-1m.zip", "ml-1m/ml-1m.zip", "movielens", "title", 999_611, 6_040, 3_416, 3_883),
    ],
    ids=["beauty", "toys", "ml-1m"],
)
def test_real_data_is_read_whole(
    real_data, tmp_path, interactions, items, source, fields, rows, users, used, described
):
    ingest(source, real_data / interactions, real_data / items, [fields], tmp_path)
    table = interactions_of(tmp_path)
    assert (table.height, table["user"].n_unique(), table["item"].n_unique()) == (rows, users, used)
    assert items_of(tmp_path).height == described
    assert items_of(tmp_path)["text"].null_count() == 0
    assert set(table["item"]) <= set(items_of(tmp_path)["item_id"])


def run_script(name, *flags, **environment):
    return subprocess.run(
        [sys.executable, ROOT / "workflow" / "scripts" / name, *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_scripts_go_from_a_mirror_to_tables(shop, tmp_path):
    mirror = tmp_path / "mirror" / "amazon"
    mirror.mkdir(parents=True)
    names = ("ratings_Beauty.csv", "meta_Beauty.json.gz")
    for raw, name in zip(shop, names, strict=True):
        raw.rename(mirror / name)
        done = run_script(
            "download.py",
            f"amazon/{name}",
            *("--output", tmp_path / "raw" / "amazon" / name, "--lock", tmp_path / "sources.lock.csv"),
            MMSREC_MIRROR=f" {tmp_path}/none , {mirror.parent}",
        )
        assert done.returncode == 0, done.stderr
    assert (
        read_json(tmp_path / "raw" / "amazon" / "ratings_Beauty.csv.json")["url"] == "mirror:amazon/ratings_Beauty.csv"
    )
    done = run_script("ingest.py", "--domain", "beauty", "--raw", tmp_path / "raw", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert interactions_of(tmp_path / "out").height == 3


def test_a_script_ends_with_a_message_instead_of_a_traceback(tmp_path):
    registry = tmp_path / "sources.csv"
    registry.write_text("dataset,file,url,sha256,bytes,licence,note\nshop,a.csv,,,,,\n")
    flags = ("shop/a.csv", "--registry", registry, "--output", tmp_path / "a.csv")
    done = run_script("download.py", *flags, MMSREC_MIRROR=str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("  fix: Set MMSREC_MIRROR")
    assert f"{tmp_path}/none/shop/a.csv: no such file" in done.stderr
    assert "Traceback" not in done.stderr
