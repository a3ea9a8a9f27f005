import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, DataError
from mmsrec.files import read_json
from mmsrec.sequences.prepare import prepare
from mmsrec.sequences.split import split
from mmsrec.settings.data import Split

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
    write_table(tmp_path / "interactions.parquet", interactions.to_arrow(), SCHEMAS["interactions"])
    write_table(tmp_path / "items.parquet", items.to_arrow(), SCHEMAS["raw_items"])
    return tmp_path


def run(ingested, k):
    return prepare(ingested, ingested / "out", domain="shop", k=k)


def rows(path, kind):
    return pl.from_arrow(read_table(path, SCHEMAS[kind])).rows()


def test_tables_of_a_k_core(ingested):
    run(ingested, 2)
    out = ingested / "out"
    assert rows(out / "items.parquet", "items") == [
        (0, "ink", None, None, None),
        (1, "pen", "Pen", "a pen", "http://shop/pen.jpg"),
    ]
    assert rows(out / "interactions.parquet", "interactions") == [
        ("ann", "pen", 3),
        ("ann", "ink", 1),
        ("bob", "ink", 2),
        ("bob", "pen", 2),
    ]


def test_statistics_are_written_as_a_row_of_table_2(ingested):
    statistics = run(ingested, 2)
    assert (statistics.users, statistics.items, statistics.actions, statistics.sparsity) == (2, 2, 4, 0.0)
    assert read_json(ingested / "out" / "statistics.json")["mean_length"] == 2


def test_an_empty_core_says_so(ingested):
    with pytest.raises(DataError, match="smaller k_core"):
        run(ingested, 4)


def test_a_missing_table_names_its_path(tmp_path):
    with pytest.raises(ArtifactError, match=r"interactions\.parquet"):
        run(tmp_path, 2)


@pytest.mark.parametrize(
    ("row", "bob"), [({"ties": "source"}, [0, 1]), ({"ties": "item"}, [0, 1]), ({"ties": "shuffle", "seed": 0}, [1, 0])]
)
def test_a_split_orders_the_actions_of_a_core(ingested, row, bob):
    run(ingested, 2)
    users = split(ingested / "out", Split(**row), ingested / "sequences.parquet")
    assert users == 2
    assert rows(ingested / "sequences.parquet", "sequences") == [
        (0, "ann", [0, 1], [1, 3]),
        (1, "bob", bob, [2, 2]),
    ]


def test_a_split_of_a_core_that_is_not_there_names_the_table(tmp_path):
    with pytest.raises(ArtifactError, match=r"interactions\.parquet"):
        split(tmp_path, Split(ties="source"), tmp_path / "sequences.parquet")


def test_the_same_input_gives_the_same_bytes(ingested):
    def written():
        run(ingested, 2)
        split(ingested / "out", Split(ties="shuffle"), ingested / "out/sequences.parquet")
        return {path.name: path.read_bytes() for path in (ingested / "out").iterdir()}

    assert written() == written()


def core_of(folder, actions, **settings):
    table = pl.DataFrame(actions, schema=["user", "item", "timestamp"], orient="row")
    write_table(folder / "interactions.parquet", table.to_arrow(), SCHEMAS["interactions"])
    return prepare(folder, folder / "out", domain="shop", **settings)


def test_repeated_rows_are_kept_and_counted_as_in_the_papers_data(ingested):
    statistics = core_of(ingested, [("ann", "pen", 1)] * 5, k=5)
    assert (statistics.users, statistics.items, statistics.actions) == (1, 1, 5)
    assert (statistics.repeated_pairs, statistics.repeated_rows) == (4, 4)
    assert statistics.sparsity == 0, "the only cell is full, and counts once"


@pytest.mark.parametrize("repeats", ["first-of-pair", "first-of-row"])
def test_repeated_rows_make_no_core_under_a_rule_against_them(ingested, repeats):
    with pytest.raises(DataError, match="k-core is empty"):
        core_of(ingested, [("ann", "pen", 1)] * 5, k=5, repeats=repeats)


def test_the_rules_for_repeats_keep_the_first_row_of_a_pair_or_of_a_row(ingested):
    actions = [("ann", "pen", 3), ("ann", "pen", 1), ("bob", "pen", 2), ("bob", "pen", 2)]
    kept = {
        "keep": actions,
        "first-of-pair": [("ann", "pen", 1), ("bob", "pen", 2)],
        "first-of-row": actions[:3],
    }
    for repeats, expected in kept.items():
        statistics = core_of(ingested, actions, k=1, repeats=repeats)
        assert rows(ingested / "out" / "interactions.parquet", "interactions") == expected
        assert statistics.actions == len(expected)


def test_a_core_without_any_description_is_an_error(ingested):
    with pytest.raises(DataError, match="No item of the interactions has a description"):
        core_of(ingested, [("ann", "Pen", 1), ("ann", "Pen", 1)], k=2)
