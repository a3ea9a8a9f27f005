import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, DataError
from mmsrec.files import read_json
from mmsrec.sequences.prepare import prepare

INTERACTIONS = [
    ("ann", "pen", 3),
    ("ann", "ink", 1),
    ("bob", "ink", 2),
    ("bob", "pen", 2),
    ("bob", "cup", 9),  # the only one of its item
    ("eve", "pen", 1),  # the only one of its user
]
ITEMS = [("cup", "Cup", "cup", None), ("pen", "Pen", "a pen", "http://shop/pen.jpg")]


@pytest.fixture
def ingested(tmp_path):
    interactions = pl.DataFrame(INTERACTIONS, schema=["user", "item", "timestamp"], orient="row")
    items = pl.DataFrame(ITEMS, schema=["item_id", "title", "text", "media_url"], orient="row")
    write_table(tmp_path / "interactions.parquet", interactions.to_arrow(), SCHEMAS["raw_interactions"])
    write_table(tmp_path / "items.parquet", items.to_arrow(), SCHEMAS["raw_items"])
    return tmp_path


def run(ingested, k, ties="source"):
    return prepare(ingested, ingested / "out", domain="shop", k=k, ties=ties, tie_seed=0)


def rows(path, kind):
    return pl.from_arrow(read_table(path, SCHEMAS[kind])).rows()


def test_tables_of_a_k_core(ingested):
    run(ingested, 2)
    out = ingested / "out"
    assert rows(out / "items.parquet", "items") == [
        (0, "ink", None, None, None),
        (1, "pen", "Pen", "a pen", "http://shop/pen.jpg"),
    ]
    assert rows(out / "sequences.parquet", "sequences") == [(0, "ann", [0, 1]), (1, "bob", [0, 1])]
    assert rows(out / "interactions.parquet", "interactions") == [
        ("ann", "ink", 1, 0),
        ("ann", "pen", 3, 1),
        ("bob", "ink", 2, 0),
        ("bob", "pen", 2, 1),
    ]


def test_statistics_are_written_as_a_row_of_table_2(ingested):
    statistics = run(ingested, 2)
    assert (statistics.users, statistics.items, statistics.actions, statistics.sparsity) == (2, 2, 4, 0.0)
    assert read_json(ingested / "out" / "statistics.json")["ties"] == "source"


def test_an_empty_core_says_so(ingested):
    with pytest.raises(DataError, match="smaller k_core"):
        run(ingested, 4)


def test_a_missing_table_names_its_path(tmp_path):
    with pytest.raises(ArtifactError, match=r"interactions\.parquet"):
        run(tmp_path, 2)


def test_the_same_input_gives_the_same_bytes(ingested):
    run(ingested, 2, "shuffle")
    first = {path.name: path.read_bytes() for path in (ingested / "out").iterdir()}
    run(ingested, 2, "shuffle")
    assert {path.name: path.read_bytes() for path in (ingested / "out").iterdir()} == first
