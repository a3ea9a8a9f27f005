import gzip
import html
import json
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from mmsrec.demo.mirror import raw_files
from mmsrec.demo.words import vocabulary
from tests.unit.demo.truth import SHOPS, read_metadata, read_ratings

DAY = 86_400


@pytest.fixture(scope="module", params=["shop", "wear"])
def shop(request, world):
    return world.shops[request.param]


@pytest.fixture(scope="module")
def ratings(files, shop):
    return read_ratings(files, shop.name)


@pytest.fixture(scope="module")
def metadata(files, shop):
    return read_metadata(files, shop.name)


def test_a_rating_has_a_user_an_asin_stars_and_a_day(ratings):
    for user, asin, stars, time in ratings:
        assert user.startswith("A")
        assert len(asin) == 10
        assert stars in {"1.0", "2.0", "3.0", "4.0", "5.0"}
        assert int(time) % DAY == 0
        assert 1_000_000_000 < int(time) < 1_500_000_000


def test_ratings_are_grouped_by_asin(ratings):
    asins = [asin for _, asin, _, _ in ratings]
    assert asins == sorted(asins)


def test_times_follow_the_order_of_actions_except_within_a_day(shop, ratings):
    asins = [product.asin for product in shop.products]
    times = defaultdict(dict)
    for user, asin, _, time in ratings:
        times[user][asin] = int(time)
    found = {frozenset(row): row for row in times.values()}
    gaps = []
    for history in shop.latent.histories:
        row = found[frozenset(asins[item] for item in history)]
        days = [row[asins[item]] // DAY for item in history]
        assert days == sorted(days)
        gaps += [after - before for before, after in pairwise(days)]
    assert 0.1 < gaps.count(0) / len(gaps) < 0.3


def test_metadata_are_python_literals_and_not_json(shop, files):
    lines = gzip.decompress(files[f"demo/meta_{SHOPS[shop.name]}.json.gz"]).decode().splitlines()
    assert len(lines) == len(shop.products)
    for line in lines:
        with pytest.raises(json.JSONDecodeError):
            json.loads(line)


def test_less_than_one_line_in_a_hundred_is_malformed(metadata):
    records, malformed = metadata
    assert 0 < malformed < 0.01 * (len(records) + malformed)


def test_every_rated_item_has_one_line_unless_it_is_malformed(ratings, metadata):
    records, malformed = metadata
    described = Counter(record["asin"] for record in records)
    assert max(described.values()) == 1
    assert len({asin for _, asin, _, _ in ratings} - set(described)) <= malformed


def test_fields_are_absent_on_some_items_only(metadata):
    records, _ = metadata
    fields = Counter(field for record in records for field in record)
    for field in ("description", "brand", "price", "imUrl"):
        assert 0.6 * len(records) < fields[field] < len(records)
    assert fields["title"] >= 0.95 * len(records)
    assert fields["asin"] == fields["categories"] == len(records)


def test_some_texts_hold_html_entities_and_some_do_not(metadata):
    texts = [record["description"] for record in metadata[0] if "description" in record]
    escaped = [text for text in texts if html.unescape(text) != text]
    assert 0.1 * len(texts) < len(escaped) < 0.7 * len(texts)
    assert any("&" in html.unescape(text) for text in escaped)
    assert any("& " in text for text in texts)


def test_categories_are_nested_and_pictures_lie_below_the_base(world, shop):
    base = "http://pictures.example:81/demo"
    records, _ = read_metadata(raw_files(world, base), shop.name)
    bases = {"no link": None, "moved": "http://media.example", "unreachable": "http://127.0.0.1:9"}
    expected = {product.asin: bases.get(product.fault, base) for product in shop.products}
    for record in records:
        [[sold, _]] = record["categories"]
        assert sold == {"shop": "Home", "wear": "Clothing"}[shop.name]
        host = expected[record["asin"]]
        assert record.get("imUrl") == (host and f"{host}/images/{record['asin']}.jpg")


def test_a_product_has_a_look_that_its_text_names_now_and_then(shop):
    products = shop.products
    dotted = [product for product in products if product.look.pattern == "dotted"]
    words = next(row["pattern"] for row in vocabulary(shop.name).rings["pattern"] if "dotted" in row["pattern"])
    named = [any(word in product.description for word in words) for product in dotted]
    assert 0 < sum(named) < len(dotted)
    assert len({product.look.shape for product in products}) == 8
