"""A film site in the format of MovieLens-1M: three `::`-separated Latin-1 files in an archive.

Its trailers are listed in ml-youtube.csv, the format of GroupLens' list for MovieLens.
"""

import csv
import io
import string
import zipfile
from dataclasses import dataclass

import numpy as np

from mmsrec.demo.faults import LISTED, TRAILER_FAULTS, TrailerFault, site_faults
from mmsrec.demo.looks import Look, look_of
from mmsrec.demo.taste_world import Site, SiteSize, make_site, stream
from mmsrec.demo.words import Draw, vocabulary

# Timestamps gain their tenth digit in September 2001; many users have actions before and after.
TEN_DIGITS = 1_000_000_000
DAY = 86_400
FIRST_DAYS = 60  # days around TEN_DIGITS over which users join
LONGEST_PAUSE = 30  # seconds between actions of one visit
NEXT_VISIT = 0.15  # share of the actions that open a new visit
LONGEST_ABSENCE = 5 * DAY
STARS = (0.05, 0.1, 0.25, 0.35, 0.25)  # share of the ratings 1 to 5

GENRE_DRAWS = 3
AGES = (1, 18, 25, 35, 45, 50, 56)
OCCUPATIONS = 21
SPARE_IDS = 1.1  # possible ids for each film; movie ids have gaps
ARCHIVE_DATE = (2003, 2, 28, 0, 0, 0)

TRAILER_LETTERS = list(string.ascii_letters + string.digits + "_-")
TRAILER_LENGTH = 11
SOUND = TrailerFault(share=1)


@dataclass(frozen=True)
class Film:
    """An item of the film site.

    Attributes:
        movie_id: id of the film; ids ascend, with gaps.
        title: title, with the year at its end.
        genres: genres, sorted.
        look: the look of the trailer.
        trailer: the trailer's id on its site.
        fault: the trailer's fault, a key of faults.TRAILER_FAULTS, or None.
    """

    movie_id: int
    title: str
    genres: tuple[str, ...]
    look: Look
    trailer: str
    fault: str | None

    @property
    def trailer_fault(self) -> TrailerFault:
        """The trailer's fault, or `SOUND`."""
        return TRAILER_FAULTS.get(self.fault, SOUND)


@dataclass(frozen=True)
class FilmSite:
    """A film site. `name` is the name of its vocabulary; `films` have the order of the latent items."""

    name: str
    seed: int
    latent: Site
    films: list[Film]


def make_film_site(size: SiteSize, seed: int, name: str) -> FilmSite:
    """Makes a film site whose titles have words from the vocabulary `name`; all titles differ."""
    latent = make_site(size, seed, name)
    random = stream(seed, name, "films")
    ids = np.sort(random.choice(int(size.items * SPARE_IDS), size.items, replace=False)) + 1
    codes = stream(seed, name, "trailers").choice(TRAILER_LETTERS, (size.items, TRAILER_LENGTH))
    faults = site_faults(
        {fault: row.share for fault, row in TRAILER_FAULTS.items()}, latent, stream(seed, name, "faults")
    )
    films = {}
    for item, (movie_id, taste) in enumerate(zip(ids, latent.taste, strict=True)):
        draw = Draw(vocabulary(name), taste, random)
        while (title := _title(draw)) in films:
            pass
        genres = {draw["genre"] for _ in range(GENRE_DRAWS)}
        films[title] = Film(
            int(movie_id), title, tuple(sorted(genres)), look_of(taste), "".join(codes[item]), faults.get(item)
        )
    return FilmSite(name, seed, latent, list(films.values()))


def _title(draw: Draw) -> str:
    return f"{draw.sentence('title')} ({draw['year']})"


def films_zip(site: FilmSite) -> bytes:
    """The archive with the members ml-1m/ratings.dat, movies.dat and users.dat."""
    random = stream(site.seed, site.name, "actions")
    members = {
        "ml-1m/movies.dat": [f"{film.movie_id}::{film.title}::{'|'.join(film.genres)}" for film in site.films],
        "ml-1m/ratings.dat": _ratings(site, random),
        "ml-1m/users.dat": [_user(user, random) for user in range(1, len(site.latent.histories) + 1)],
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for member, lines in members.items():
            info = zipfile.ZipInfo(member, ARCHIVE_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, "".join(f"{line}\n" for line in lines).encode("latin-1"))
    return archive.getvalue()


def trailer_ids_csv(site: FilmSite) -> bytes:
    """The file ml-youtube.csv: youtubeId, movieId, title."""
    listed = [(LISTED[film.trailer_fault.listed](film.trailer), film) for film in site.films]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["youtubeId", "movieId", "title"])
    table.writerows([trailer, film.movie_id, film.title] for trailer, film in listed if trailer)
    return text.getvalue().encode("utf-8")


def trailer_path(film: Film) -> str:
    """The path of a film's trailer below the media's base URL."""
    return f"trailers/{film.trailer}.mp4"


def _ratings(site: FilmSite, random: np.random.Generator) -> list[str]:
    return [
        f"{user}::{site.films[history[action]].movie_id}::{stars[action]}::{seconds[action]}"
        for user, history in enumerate(site.latent.histories, start=1)
        for seconds, stars in [_seconds_and_stars(len(history), random)]
        for action in random.permutation(len(history))
    ]


def _seconds_and_stars(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pauses = random.integers(0, LONGEST_PAUSE, count, endpoint=True)
    absences = random.integers(0, LONGEST_ABSENCE, count) * (random.random(count) < NEXT_VISIT)
    first = TEN_DIGITS + (random.integers(FIRST_DAYS) - FIRST_DAYS // 2) * DAY
    return first + (pauses + absences).cumsum(), random.choice(np.arange(1, 6), count, p=STARS)


def _user(user: int, random: np.random.Generator) -> str:
    sex = random.choice(["F", "M"])
    age = random.choice(AGES)
    return f"{user}::{sex}::{age}::{random.integers(OCCUPATIONS)}::{random.integers(100_000):05d}"
