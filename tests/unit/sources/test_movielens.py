import logging
import random
import zipfile

import polars as pl
import pytest

from mmsrec.errors import ArchiveError, DataError, ParseError
from mmsrec.sources import movielens


@pytest.fixture
def pack(tmp_path):
    def to_file(**members):
        path = tmp_path / "ml-1m.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in members.items():
                archive.writestr(f"ml-1m/{name}.dat", text.encode("latin-1"))
        return path

    return to_file


def test_ratings_match_a_slow_reader_across_nine_and_ten_digits(pack):
    generator = random.Random(2)
    text = "".join(
        f"{generator.randrange(1, 6041)}::{generator.randrange(1, 3953)}::{generator.randrange(1, 6)}"
        f"::{generator.randrange(9 * 10**8, 11 * 10**8)}\n"
        for _ in range(250_000)
    )
    frames = list(movielens.interactions(pack(ratings=text)))
    assert len(frames) > 1
    slow = [line.split("::") for line in text.splitlines()]
    assert pl.concat(frames).rows() == [(user, item, int(time)) for user, item, _, time in slow]


@pytest.mark.parametrize(
    ("raw", "readable"),
    [
        ("Toy Story (1995)", "Toy Story (1995)"),
        ("Matrix, The (1999)", "The Matrix (1999)"),
        ("Bug's Life, A (1998)", "A Bug's Life (1998)"),
        ("American in Paris, An (1951)", "An American in Paris (1951)"),
        ("Enfer, L' (1994)", "L'Enfer (1994)"),
        ("Postino, Il (The Postman) (1994)", "Il Postino (The Postman) (1994)"),
        ("Hate (Haine, La) (1995)", "Hate (La Haine) (1995)"),
        ("Star Maker, The (Uomo delle stelle, L') (1995)", "The Star Maker (L'Uomo delle stelle) (1995)"),
        ("Convent, The (Convento, O) (1995)", "The Convent (O Convento) (1995)"),
        ("Associate, The (L'Associe)(1982)", "The Associate (L'Associe)(1982)"),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly (1966)"),
        ("I, The Jury (1982)", "I, The Jury (1982)"),
        ("I, Worst of All (Yo, la peor de todas) (1990)", "I, Worst of All (Yo, la peor de todas) (1990)"),
        ("Strike! (a.k.a. All I Wanna Do, The Hairy Bird) (1998)",) * 2,
        ("Goodbye, Lover (1999)", "Goodbye, Lover (1999)"),
        ("Big Squeeze, The", "The Big Squeeze"),
    ],
)
def test_articles_go_to_the_front(raw, readable):
    assert pl.DataFrame({"title": [raw]}).select(movielens.readable_title("title")).item() == readable


def test_movies_are_latin_1_and_their_genres_readable(pack):
    movies = "1::Misérables, Les (1995)::Drama|Musical\n2::Blade Runner (1982)::Film-Noir\n3::Nothing (2000)::\n"
    frame = pl.concat(movielens.items(pack(movies=movies), ["title", "genres"]))
    assert frame.rows() == [
        ("1", "Les Misérables (1995)", "Les Misérables (1995). Drama, Musical", None),
        ("2", "Blade Runner (1982)", "Blade Runner (1982). Film-Noir", None),
        ("3", "Nothing (2000)", "Nothing (2000)", None),
    ]
    assert pl.concat(movielens.items(pack(movies=movies), ["genres"]))["text"].to_list() == [
        "Drama, Musical",
        "Film-Noir",
        None,
    ]


def test_malformed_rows_are_counted(pack, caplog):
    movies = "".join(f"{number}::Title {number}::Drama\n" for number in range(1, 400))
    path = pack(movies="::No id::Drama\n" + movies + "7::Only two\n", ratings="1::1::5::1\n" * 99 + "1,1,5,1\n")
    with caplog.at_level(logging.WARNING):
        assert pl.concat(movielens.items(path, ["title"])).height == 399
        assert pl.concat(movielens.interactions(path)).height == 99
    assert "2 of 401 rows, first line 1, line 401" in caplog.text
    assert "1 of 100 rows, first line 100" in caplog.text


def test_another_format_is_an_error(pack):
    path = pack(ratings="userId,movieId,rating,timestamp\n1,1,4.0,964982703\n", movies="movieId,title,genres\n")
    with pytest.raises(ParseError, match="USER::ITEM::RATING::UNIX_TIME"):
        pl.concat(movielens.interactions(path))
    with pytest.raises(ParseError, match="MOVIE::TITLE"):
        pl.concat(movielens.items(path, ["title"]))


def test_an_unknown_text_field_names_the_known_ones(pack):
    with pytest.raises(DataError, match="title, genres"):
        pl.concat(movielens.items(pack(), ["title", "description"]))


def test_an_archive_without_the_member_or_with_an_unsafe_one_is_refused(tmp_path, pack):
    with pytest.raises(ArchiveError, match="lacks a member"):
        pl.concat(movielens.interactions(pack(movies="")))
    path = pack(ratings="1::1::5::1\n")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../outside.txt", "")
    with pytest.raises(ArchiveError, match=r"'\.\./outside\.txt'"):
        pl.concat(movielens.interactions(path))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_films_are_read_in_the_encoding_that_their_bytes_show(tmp_path, encoding, caplog):
    path = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-1m/movies.dat", "73::Mis\u00e9rables, Les (1995)::Drama\n".encode(encoding))
    frame = pl.concat(movielens.items(path, ["title"]))
    assert frame.rows() == [("73", "Les Mis\u00e9rables (1995)", "Les Mis\u00e9rables (1995)", None)]
    assert ("in UTF-8" in caplog.text) == (encoding != "latin-1")
