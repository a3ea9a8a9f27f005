import ast
import gzip
import html

import pytest

from mmsrec.demo.arrivals import FAULTS
from mmsrec.demo.media_files import faults_of, media_of
from mmsrec.demo.mirror import make_world, raw_files
from mmsrec.demo.shop import picture_path
from mmsrec.demo.taste_world import SIZES
from tests.unit.demo.truth import five_core, read_metadata, read_ratings

BASE = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def records(files):
    """The lines of the new arrivals by their asin, in the order of the file."""
    lines = gzip.decompress(files["demo/meta_New.json.gz"]).decode().splitlines()
    return {record["asin"]: record for record in map(ast.literal_eval, lines)}


def test_every_arrival_has_a_line_and_no_action(world, files, records):
    arrivals = world.arrivals.products
    assert list(records) == [product.asin for product in arrivals]
    assert len(records) == SIZES["test"].arrivals
    described = {record["asin"] for record in read_metadata(files, "shop")[0]}
    taken = {asin for _, asin, _, _ in read_ratings(files, "shop")}
    assert not (described | taken) & set(records)


def test_the_first_arrivals_have_no_picture(world, records):
    faults = [product.fault for product in world.arrivals.products]
    assert faults == [*FAULTS, *[None] * (len(faults) - len(FAULTS))]
    without, gone, *others = world.arrivals.products
    assert "imUrl" not in records[without.asin]
    assert faults_of(world)[picture_path(gone)] == "gone"
    for product in others:
        assert records[product.asin]["imUrl"] == f"{BASE}/{picture_path(product)}"
        assert picture_path(product) in media_of(world)


def test_the_last_arrival_copies_an_old_item_of_the_5_core(world, files, records):
    copied, copy = world.arrivals.copied, world.arrivals.products[-1]
    old = next(record for record in read_metadata(files, "shop")[0] if record["asin"] == copied.asin)
    own = ("asin", "imUrl")
    assert {key: value for key, value in records[copy.asin].items() if key not in own} == {
        key: value for key, value in old.items() if key not in own
    }
    media = media_of(world)
    assert media[picture_path(copy)].make() == media[picture_path(copied)].make()
    assert not {picture_path(copy), picture_path(copied)} & set(faults_of(world))
    actions = [(user, item, int(time)) for user, item, _, time in read_ratings(files, "shop")]
    assert copied.asin in {item for _, item, _ in five_core(actions)}


def test_arrivals_share_the_words_of_the_shop(files, records):
    def words(rows):
        texts = (html.unescape(f"{row.get('title', '')} {row.get('description', '')}") for row in rows)
        return set(" ".join(texts).casefold().split())

    new, old = words(records.values()), words(read_metadata(files, "shop")[0])
    assert len(new & old) > 0.8 * len(new)


def test_equal_worlds_have_equal_arrivals(files):
    assert raw_files(make_world(SIZES["test"], 5))["demo/meta_New.json.gz"] == files["demo/meta_New.json.gz"]
