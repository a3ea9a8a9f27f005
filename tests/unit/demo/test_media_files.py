import json
import re
from collections import Counter

import pytest

from mmsrec.demo.faults import ANSWERS, CLIP_FAULTS, PICTURE_FAULTS, RAW_FAULTS, TRAILER_FAULTS
from mmsrec.demo.media_files import faults_of, media_of, search_key, searches_of, write_media
from mmsrec.demo.mirror import make_world
from mmsrec.demo.taste_world import SIZES
from mmsrec.files import sha256
from mmsrec.sources.trailer_ids import VIDEO_ID, read_trailer_ids
from tests.unit.demo.truth import five_core, read_members, read_metadata, read_ratings

SOME = 6


@pytest.fixture
def small(world, monkeypatch):
    """The world with a few media only."""
    few = dict(list(media_of(world).items())[-SOME:])
    monkeypatch.setattr("mmsrec.demo.media_files.media_of", lambda _: few)
    return world


@pytest.mark.parametrize(("size", "seed"), [("test", 5), ("demo", 2023)])
def test_every_fault_has_its_share(size, seed):
    world = make_world(SIZES[size], seed)
    for shares, faults in (
        *((PICTURE_FAULTS, [product.fault for product in shop.products]) for shop in world.shops.values()),
        ({name: row.share for name, row in TRAILER_FAULTS.items()}, [film.fault for film in world.films.films]),
        (CLIP_FAULTS, [video.fault for video in world.corpus.videos]),
    ):
        counts = Counter(filter(None, faults))
        assert counts == {name: max(1, round(share * len(faults))) for name, share in shares.items()}


def test_a_5_core_keeps_items_of_every_fault(world, files):
    for name, shop in world.shops.items():
        actions = [(user, item, int(time)) for user, item, _, time in read_ratings(files, name)]
        kept = {item for _, item, _ in five_core(actions)}
        described = kept & {record["asin"] for record in read_metadata(files, name)[0]}
        assert {product.fault for product in shop.products if product.asin in described} == {None, *PICTURE_FAULTS}

    actions = [(user, film, int(time)) for user, film, _, time in read_members(files)["ratings"]]
    kept = {film for _, film, _ in five_core(actions)}
    assert {film.fault for film in world.films.films if str(film.movie_id) in kept} == {None, *TRAILER_FAULTS}


def test_the_table_of_trailer_ids_is_read_by_the_crawl(world, files, tmp_path):
    (tmp_path / "ml-youtube.csv").write_bytes(files["demo/ml-youtube.csv"])
    listed = read_trailer_ids(tmp_path / "ml-youtube.csv")
    assert all(re.fullmatch(VIDEO_ID, film.trailer) for film in world.films.films)
    for film in world.films.films:
        expected = {"no id": None, "mangled id": None, "no trailer": None, "unreachable": None}
        expected |= {"stale id": film.trailer[::-1]}
        assert listed.get(str(film.movie_id)) == expected.get(film.fault, film.trailer)


def test_the_fault_list_names_files_and_answers(world):
    media = media_of(world)
    shops = [*(shop.products for shop in world.shops.values()), world.arrivals.products]
    sites = [*shops, world.films.films, world.corpus.videos]
    assert len(media) == sum(map(len, sites))
    assert set(faults_of(world)) <= set(media)
    assert {*faults_of(world).values(), *RAW_FAULTS.values()} == set(ANSWERS)
    found = {page for pages in searches_of(world).values() for page in pages}
    assert sum(page.removeprefix("/") in media for page in found) == len(found) - 1


def test_a_search_ignores_the_place_of_an_article():
    assert search_key("Sword of Fury, The (1977)") == search_key("The sword of Fury (1977)")
    assert search_key("Fury of the Sword (1977)") != search_key("Sword of Fury (1977)")


def test_media_are_made_once_and_damaged_files_again(small, tmp_path):
    assert write_media(tmp_path, small) == SOME
    digests = {path: sha256(path) for path in tmp_path.rglob("*") if path.is_file()}
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert write_media(tmp_path, small) == 0
    assert times == {path: path.stat().st_mtime_ns for path in times}

    damaged, lost = list(times)[:2]
    damaged.write_bytes(b"cut short")
    lost.unlink()
    assert write_media(tmp_path, small) == 2
    assert {path: sha256(path) for path in digests} == digests


def test_media_from_another_world_are_made_again(small, tmp_path):
    write_media(tmp_path, small)
    stamp = tmp_path / "media/made.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"made_from": "an older drawing"}))
    assert write_media(tmp_path, small) == SOME
