"""The properties of the demo-sized world that docs/demo.md states, for three seeds."""

import pytest

from mmsrec.demo.taste_world import SIZES
from tests.unit.demo.truth import measure_world


@pytest.fixture(scope="module", params=[0, 1, 2])
def numbers(request):
    return measure_world(SIZES["demo"], request.param)


def test_many_test_items_of_the_first_shop_occur_rarely_in_training(numbers):
    shop, wear = numbers["shop"], numbers["wear"]
    assert shop["targets never in training"] >= 40
    assert 0.18 < shop["targets 0 to 5 times in training"] < 0.3
    assert shop["targets more often than 20 times"] > 0.45
    assert wear["targets 0 to 5 times in training"] < 0.12


@pytest.fixture(params=["shop", "wear", "films"])
def site(request, numbers):
    return numbers[request.param]


def test_most_of_the_world_survives_the_5_core_and_some_of_it_does_not(numbers):
    size = SIZES["demo"]
    for site, asked in {**size.shops, "films": size.films}.items():
        assert 0.9 * asked.users < numbers[site]["users in the 5-core"] < asked.users
        assert 0.85 * asked.items < numbers[site]["items in the 5-core"] < asked.items
    assert 8 < numbers["shop"]["actions a user"] < 10.5
    assert 8 < numbers["wear"]["actions a user"] < 10.5
    assert 14 < numbers["films"]["actions a user"] < 18


def test_popularity_is_long_tailed(numbers):
    assert numbers["shop"]["share of the top fifth"] > 0.5
    assert numbers["wear"]["share of the top fifth"] > 0.4
    assert numbers["films"]["share of the top fifth"] > 0.4


def test_the_order_of_actions_predicts_the_next_item(site):
    assert site["taste, last"] > 4 * site["popularity"]
    assert site["taste, last 2"] > 1.7 * site["taste, any 2"]
    assert site["text, last 3"] > 1.4 * site["text, any 3"]


def test_texts_depend_on_taste(site):
    assert site["text, last 3"] > 1.5 * site["popularity"]
    assert 3 * site["popularity"] < site["text, linear"] < 0.6


def test_text_and_pictures_together_predict_more_than_either(site):
    assert site["seen in both"] > site["seen in text"] + 0.1
    assert site["seen in both"] > site["seen in pictures"] + 0.1
    assert site["seen in pictures"] > 2.5 * site["popularity"]
