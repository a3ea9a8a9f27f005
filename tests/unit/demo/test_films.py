import io
import re
import zipfile
from collections import defaultdict

import pytest

from mmsrec.demo.taste_world import SIZES
from tests.unit.demo.truth import read_members

MOVIELENS_GENRES = (
    "Action|Adventure|Animation|Children's|Comedy|Crime|Documentary|Drama|Fantasy|Film-Noir|Horror|Musical|Mystery|"
    "Romance|Sci-Fi|Thriller|War|Western"
)
SIZE = SIZES["test"].films


@pytest.fixture(scope="module")
def members(files):
    return read_members(files)


@pytest.fixture(scope="module")
def histories(members):
    found = defaultdict(list)
    for user, movie, _, time in members["ratings"]:
        found[user].append((movie, int(time)))
    return found


def test_the_archive_has_the_three_members(files):
    with zipfile.ZipFile(io.BytesIO(files["demo/films.zip"])) as archive:
        assert sorted(archive.namelist()) == ["ml-1m/movies.dat", "ml-1m/ratings.dat", "ml-1m/users.dat"]
        assert archive.testzip() is None


def test_every_line_has_the_fields_of_its_member(members):
    assert {len(row) for row in members["ratings"]} == {4}
    assert {len(row) for row in members["movies"]} == {3}
    assert {len(row) for row in members["users"]} == {5}
    assert (len(members["movies"]), len(members["users"])) == (SIZE.items, SIZE.users)


def test_ratings_name_known_users_and_films(members):
    assert {row[0] for row in members["ratings"]} == {row[0] for row in members["users"]}
    assert {row[1] for row in members["ratings"]} <= {row[0] for row in members["movies"]}
    assert {row[2] for row in members["ratings"]} == set("12345")


def test_titles_are_unique_and_end_with_a_year(members):
    titles = [row[1] for row in members["movies"]]
    assert len(set(titles)) == len(titles)
    assert all(re.search(r" \(19\d\d\)$", title) for title in titles)


@pytest.mark.parametrize("article", ["The", "A", "An"])
def test_articles_follow_a_comma(members, article):
    titles = [row[1] for row in members["movies"]]
    assert any(f", {article} (" in title for title in titles)
    assert not any(title.startswith(f"{article} ") for title in titles)


def test_genres_are_those_of_movielens(members):
    genres = [row[2].split("|") for row in members["movies"]]
    assert all(1 <= len(row) <= 3 and row == sorted(set(row)) for row in genres)
    assert {genre for row in genres for genre in row} <= set(MOVIELENS_GENRES.split("|"))


def test_some_titles_are_latin_1_and_not_utf_8(files):
    with zipfile.ZipFile(io.BytesIO(files["demo/films.zip"])) as archive:
        raw = archive.read("ml-1m/movies.dat")
    assert raw.decode("latin-1") != raw.decode("ascii", "ignore")
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")


def test_some_users_have_timestamps_of_nine_and_of_ten_digits(histories):
    digits = [{len(str(time)) for _, time in history} for history in histories.values()]
    assert digits.count({9, 10}) >= 5


def test_the_file_is_not_sorted_by_time(histories):
    in_order = [history == sorted(history, key=lambda action: action[1]) for history in histories.values()]
    assert sum(in_order) < 0.2 * len(in_order)
