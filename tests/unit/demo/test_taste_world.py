from dataclasses import replace

import numpy as np
import pytest

from mmsrec.demo.taste_world import FACTORS, LAST_STRETCH, PICTURE, TEXT, SiteSize, affinity, make_site, stream

SIZE = SiteSize(users=400, items=150, mean_actions=10)
LATE = replace(SIZE, late=0.1)


@pytest.fixture(scope="module")
def site():
    return make_site(SIZE, 3, "here")


def test_a_site_has_its_size(site):
    assert site.taste.shape == (150, len(FACTORS))
    assert len(site.histories) == 400


def test_no_user_picks_an_item_twice(site):
    assert all(len(np.unique(history)) == len(history) for history in site.histories)


def test_few_users_have_less_than_five_actions_and_the_others_the_set_mean(site):
    lengths = np.array([len(history) for history in site.histories])
    assert lengths.min() >= 1
    assert (lengths < 5).sum() == 20
    assert lengths[lengths >= 5].mean() == pytest.approx(SIZE.mean_actions, rel=0.1)


def test_a_few_items_are_rare(site):
    counts = np.bincount(np.concatenate(site.histories), minlength=150)
    assert 3 <= (counts < 5).sum() <= 30


def test_users_move_on_in_the_direction_of_the_drift(site):
    steps = np.concatenate([np.diff(site.taste[history], axis=0) for history in site.histories])
    mean = np.angle(np.exp(1j * steps).mean(axis=0))
    for factor, moved in zip(FACTORS, mean, strict=True):
        assert moved == pytest.approx(factor.drift, abs=0.1 if factor.focus > 1 else 0.5)


def test_the_next_item_is_nearer_than_a_random_one(site):
    near = affinity(site.taste, site.taste)
    following = np.mean([near[history[:-1], history[1:]].mean() for history in site.histories if len(history) > 1])
    assert following > near.mean() + near.std()


def test_the_seed_and_the_name_determine_a_site(site):
    again, seed, name = make_site(SIZE, 3, "here"), make_site(SIZE, 4, "here"), make_site(SIZE, 3, "there")
    assert np.array_equal(again.taste, site.taste)
    assert all(map(np.array_equal, again.histories, site.histories))
    assert not np.array_equal(seed.taste, site.taste)
    assert not np.array_equal(name.taste, site.taste)


def test_days_run_towards_the_last_day(site):
    assert all(len(days) == len(history) for days, history in zip(site.days, site.histories, strict=True))
    assert all((np.diff(days) <= 0).all() and days[-1] >= 0 for days in site.days)


def test_without_late_items_every_item_was_always_there(site):
    assert np.isinf(site.appears).all()


def test_late_items_appear_in_the_last_stretch_and_nobody_takes_them_before():
    late = make_site(LATE, 3, "here")
    is_late = np.isfinite(late.appears)
    assert is_late.sum() == 15
    first, last = LAST_STRETCH
    assert ((first <= late.appears[is_late]) & (late.appears[is_late] < last)).all()
    for history, days in zip(late.histories, late.days, strict=True):
        assert (days <= late.appears[history]).all()


def test_late_items_change_neither_the_taste_nor_the_days_of_a_site(site):
    late = make_site(LATE, 3, "here")
    assert np.array_equal(late.taste, site.taste)
    assert all(map(np.array_equal, late.days, site.days))


def test_users_take_late_items_by_taste():
    late = make_site(replace(LATE, users=2000), 3, "here")
    near = affinity(late.taste, late.taste)
    steps = np.concatenate([np.stack([row[:-1], row[1:]]) for row in late.histories if len(row) > 1], axis=1)
    before, after = steps[:, np.isfinite(late.appears[steps[1]])]
    assert len(after) > 100
    assert near[before, after].mean() > near.mean() + near.std()


def test_random_streams_are_independent():
    first, second = stream(1, "a"), stream(1, "b")
    second.random(10)
    assert first.random() == stream(1, "a").random()
    assert stream(1, "a", "b").random() != stream(1, "b", "a").random()


@pytest.mark.parametrize("shown", [None, TEXT, PICTURE])
def test_affinity_is_the_weighted_sum_of_cosines(site, shown):
    places = stream(0, "places").uniform(0, 2 * np.pi, (3, len(FACTORS)))
    found = affinity(places, site.taste, shown)
    for place, row in zip(places, found, strict=True):
        for item, value in zip(site.taste, row, strict=True):
            assert value == pytest.approx(
                sum(
                    factor.focus * np.cos(place[index] - item[index])
                    for index, factor in enumerate(FACTORS)
                    if shown is None or shown in factor.shown
                )
            )


def test_each_modality_shows_a_factor_that_the_other_lacks():
    assert {frozenset({TEXT}), frozenset({PICTURE}), frozenset({TEXT, PICTURE})} == {row.shown for row in FACTORS}
