"""The attributes of a k-core's items, from the raw files of each source."""

import gzip
import logging
import random
import zipfile
from collections import Counter

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.errors import ArtifactError, DataError, ParseError
from mmsrec.sequences.prepare import prepare
from mmsrec.settings.data import AttributeRules
from mmsrec.sources import ingest as ingest_module
from mmsrec.sources.attribute_table import write_attributes
from mmsrec.sources.ingest import Source, ingest


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def core(folder, *ids):
    """items.parquet with these items, in the order of their ids."""
    items = pl.DataFrame({"item_id": sorted(ids)}).with_row_index("item_index")
    items = items.with_columns(pl.lit(None, pl.String).alias(name) for name in ("title", "text", "media_url"))
    write_table(folder / "items.parquet", items.to_arrow(), SCHEMAS["items"])
    return folder / "items.parquet"


def metadata(folder, *lines):
    path = folder / "meta.json.gz"
    encoded = (line if isinstance(line, bytes) else repr(line).encode() for line in lines)
    path.write_bytes(gzip.compress(b"\n".join(encoded) + b"\n"))
    return path


def films(folder, text):
    path = folder / "ml-1m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-1m/movies.dat", text if isinstance(text, bytes) else text.encode("latin-1"))
    return path


def table(folder, text):
    path = folder / "articles.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def written(source, raw, items, **rules):
    """The counts and the table, by item."""
    output = items.parent / "attributes.parquet"
    counts = write_attributes(source, raw, items, AttributeRules(**rules), output)
    rows = read_table(output, SCHEMAS["attributes"]).to_pylist()
    return counts, {row["item_id"]: row["attributes"] for row in rows}


SOAP = {"asin": "B1", "brand": "Acme", "categories": [["Beauty", "Bath", "Soap"], ["Beauty", "Gifts"]]}
COMB = {"asin": "B2", "categories": [["Beauty", "Hair"]]}


def test_an_item_has_its_brand_and_each_category_once(folder):
    counts, found = written("amazon", metadata(folder, COMB, SOAP), core(folder, "B1", "B2", "B3"))
    assert found == {
        "B1": ["brand=Acme", "category=Beauty", "category=Bath", "category=Soap", "category=Gifts"],
        "B2": ["category=Beauty", "category=Hair"],
        "B3": [],
    }
    assert (counts.items, counts.attributes, counts.values) == (3, 6, 7)


def test_the_first_category_of_each_path_can_be_left_out(folder):
    _, found = written("amazon", metadata(folder, SOAP), core(folder, "B1"), drop_first=True)
    assert found == {"B1": ["brand=Acme", "category=Bath", "category=Soap", "category=Gifts"]}


def test_items_outside_the_core_do_not_count_and_the_first_description_does(folder):
    raw = metadata(folder, SOAP, {"asin": "B1", "brand": "Other"}, COMB, {"asin": "B9", "brand": "Acme"})
    _, found = written("amazon", raw, core(folder, "B1", "B2"), min_items=2)
    assert found == {"B1": ["category=Beauty"], "B2": ["category=Beauty"]}


def test_names_may_hold_any_character_and_white_space_is_folded(folder):
    names = ["A|B", "a=b", "  Bath \n Body ", "&quot;Soft&quot;", "Cr\u00e8me", "", "  ", "Bath Body"]
    raw = metadata(folder, {"asin": "B1", "brand": " ", "categories": [names]}, {"asin": "B2", "brand": "=|="})
    _, found = written("amazon", raw, core(folder, "B1", "B2"))
    assert found == {
        "B1": ["category=A|B", "category=a=b", "category=Bath Body", 'category="Soft"', "category=Cr\u00e8me"],
        "B2": ["brand==|="],
    }


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        (["Beauty", "Hair"], ["category=Beauty", "category=Hair"]),
        ([["Beauty"], []], ["category=Beauty"]),
        ((("Beauty",)), ["category=Beauty"]),
        ([], []),
        (None, []),
    ],
)
def test_a_flat_list_is_one_path_and_lists_may_be_empty(folder, categories, expected):
    raw = metadata(folder, {"asin": "B1", "brand": "Acme", "categories": categories})
    _, found = written("amazon", raw, core(folder, "B1"))
    assert found == {"B1": ["brand=Acme", *expected]}


HOSTILE = ["Beauty", 7, {"Beauty": 1}, [["Beauty", 7]], [[["Beauty"]]], ["Beauty", ["Hair"]], [None], [[None]]]


def test_lines_with_other_categories_are_counted_and_left_out(folder, caplog):
    wrong = [{"asin": "B1", "categories": value} for value in HOSTILE]
    fine = [{"asin": f"C{number}", "brand": "Acme"} for number in range(1000)]
    with caplog.at_level(logging.WARNING):
        _, found = written(
            "amazon", metadata(folder, *fine, *wrong, b"{'asin': 'B1', 'brand': '\xff'}"), core(folder, "B1", "C7")
        )
    assert found == {"B1": [], "C7": ["brand=Acme"]}
    assert f"{len(HOSTILE) + 1} of 1,009 rows, first line 1001" in caplog.text
    with pytest.raises(ParseError, match="More than 1%"):
        written("amazon", metadata(folder, *fine[:50], *wrong), core(folder, "B1"))


def test_a_truncated_file_is_an_error(folder):
    raw = metadata(folder, *[{"asin": f"C{number}", "brand": f"{random.random()}"} for number in range(9000)])
    raw.write_bytes(raw.read_bytes()[:-4000])
    with pytest.raises(ParseError, match="truncated"):
        written("amazon", raw, core(folder, "C1"))


def test_genres_are_attributes(folder, caplog):
    raw = films(folder, "1::Heat (1995)::Crime| Drama|Crime|\n2::Up (1996)::\n3::Caf\u00e9 (1997)::Drama\n")
    counts, found = written("movielens", raw, core(folder, "1", "2", "3"))
    assert found == {"1": ["genre=Crime", "genre=Drama"], "2": [], "3": ["genre=Drama"]}
    assert counts.attributes == 2
    with pytest.raises(ParseError, match="More than 1%"):
        written("movielens", films(folder, "1::Heat::Crime\n2::Up\n"), core(folder, "1"))


def test_a_table_has_a_column_of_attributes(folder):
    raw = table(folder, "title,attributes,item_id\nA,brand=X| colour = red |,1\nB,,2\nC,size=a=b||brand=X,3\n")
    _, found = written("table", raw, core(folder, "1", "2", "3", "4"))
    assert found == {"1": ["brand=X", "colour=red"], "2": [], "3": ["size=a=b", "brand=X"], "4": []}


def test_a_parquet_table_may_have_a_list_of_attributes(folder):
    lists = [["brand=X|Y", " ", None], None, []]
    pl.DataFrame({"item_id": [1, 2, 3], "attributes": lists}).write_parquet(folder / "own.parquet")
    _, found = written("table", folder / "own.parquet", core(folder, "1", "2", "3"))
    assert found == {"1": ["brand=X|Y"], "2": [], "3": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_id,title\n1,A\n", "lacks a column"),
        ("item_id,attributes\n1,red\n", "brand=COKA"),
        ("item_id,attributes\n1,brand=X|=red\n", "malformed"),
        ("item_id,attributes\n1, =red\n", "malformed"),
        ("item_id,attributes\n,brand=X\n", "malformed"),
        (b"item_id,attributes\n1,brand=\xff\n", "cannot be read"),
        ("", "no columns|lacks a column"),
    ],
)
def test_a_wrong_table_is_an_error(folder, text, message):
    with pytest.raises(ParseError, match=message):
        written("table", table(folder, text), core(folder, "1"))


def test_numbers_are_no_attributes(folder):
    for values in ([7], [[7]], [{"brand": "X"}]):
        pl.DataFrame({"item_id": ["1"], "attributes": values}).write_parquet(folder / "own.parquet")
        with pytest.raises(ParseError):
            written("table", folder / "own.parquet", core(folder, "1"))


def test_items_without_attributes_and_missing_files_are_errors(folder, monkeypatch):
    items = core(folder, "B1")
    with pytest.raises(DataError, match="brands, categories or genres") as caught:
        written("amazon", metadata(folder, {"asin": "B1", "title": "Soap"}), items)
    assert "column attributes" in str(caught.value)
    with pytest.raises(DataError, match="no attribute of 2 or more of the 1 items"):
        written("amazon", metadata(folder, SOAP), items, min_items=2)
    with pytest.raises(ArtifactError, match="raw file is missing"):
        written("amazon", folder / "absent.gz", items)
    with pytest.raises(ArtifactError, match=r"items\.parquet"):
        written("amazon", metadata(folder, SOAP), folder / "none/items.parquet")
    monkeypatch.setitem(ingest_module.SOURCES, "table", Source(None, None))
    with pytest.raises(DataError, match="the source table has no attributes"):
        written("table", table(folder, "item_id\n1\n"), items)


def test_counts_match_a_slow_count(folder):
    generator = random.Random(3)
    rows = {
        f"B{item:03}": [generator.choice("abcdefghijklmnop") for _ in range(generator.randrange(6))]
        for item in range(200)
    }
    raw = metadata(folder, *({"asin": item, "categories": [names]} for item, names in rows.items()))
    _, found = written("amazon", raw, core(folder, *list(rows)[:120]), min_items=15, drop_first=True)
    kept = {item: list(dict.fromkeys(names[1:])) for item, names in list(rows.items())[:120]}
    counts = Counter(name for names in kept.values() for name in names)
    assert 0 < sum(count >= 15 for count in counts.values()) < len(counts)
    assert found == {item: [f"category={name}" for name in names if counts[name] >= 15] for item, names in kept.items()}


@pytest.mark.parametrize(
    ("source", "name", "interactions", "items", "rules", "expected"),
    [
        ("amazon", "Beauty", "ratings_{}.csv", "meta_{}.json.gz", {"drop_first": True, "min_items": 5}, (637, 3.72)),
        ("amazon", "Sports_and_Outdoors", "ratings_{}.csv", "meta_{}.json.gz", {}, (2269, 4.36)),
        ("movielens", "ml-1m", "{}.zip", "{}.zip", {}, (18, 1.71)),
    ],
)
def test_the_real_files_have_the_known_numbers(real_data, folder, source, name, interactions, items, rules, expected):
    place = real_data / ("amazon" if source == "amazon" else "ml-1m")
    raw = place / items.format(name)
    ingest(source, place / interactions.format(name), raw, ["title"], folder)
    prepare(folder, folder / "core", domain="shop", k=5)
    counts, _ = written(source, raw, folder / "core/items.parquet", **rules)
    assert (counts.attributes, round(counts.values / counts.items, 2)) == expected
