"""The demo world through the parsers of the real sources."""

import pyarrow.parquet as pq
import pytest

from mmsrec.demo.mirror import write_mirror
from mmsrec.demo.taste_world import SIZES
from mmsrec.sources.ingest import ingest
from tests.unit.demo.truth import read_members, read_ratings

DOMAINS = {
    "shop": ("amazon", "ratings_Demo.csv", "meta_Demo.json.gz", ["title", "description"]),
    "wear": ("amazon", "ratings_Wear.csv", "meta_Wear.json.gz", ["title", "description"]),
    "films": ("movielens", "films.zip", "films.zip", ["title", "genres"]),
}


@pytest.fixture(scope="module")
def mirror(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    write_mirror(folder, world)
    return folder / "demo"


@pytest.fixture
def tables(request, mirror, tmp_path):
    source, interactions, items, fields = DOMAINS[request.param]
    ingest(source, mirror / interactions, mirror / items, fields, tmp_path)
    return {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in ("interactions", "items")}


@pytest.mark.parametrize(("tables", "shop"), [("shop", "shop"), ("wear", "wear")], indirect=["tables"])
def test_a_shop_is_read_whole(files, tables, shop):
    rows = read_ratings(files, shop)
    expected = [{"user": user, "item": asin, "timestamp": int(time)} for user, asin, _, time in rows]
    assert tables["interactions"] == expected
    assert len(tables["items"]) == SIZES["test"].shops[shop].items - 1
    assert not any("&amp;" in (row["text"] or "") for row in tables["items"])
    assert sum(row["media_url"] is None for row in tables["items"]) > 0


@pytest.mark.parametrize("tables", ["films"], indirect=True)
def test_the_films_are_read_whole(files, tables):
    rows = read_members(files)["ratings"]
    assert tables["interactions"] == [
        {"user": user, "item": movie, "timestamp": int(time)} for user, movie, _, time in rows
    ]
    titles = [row["title"] for row in tables["items"]]
    assert len(titles) == SIZES["test"].films.items
    assert any(title.startswith("The ") for title in titles)
    assert any("é" in title for title in titles)
