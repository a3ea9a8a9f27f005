"""Makes the pictures, trailers and clips of a demo world, and the lists that its server reads."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from mmsrec.demo import drawings, looks, trailer_films
from mmsrec.demo.clip_world import VIDEO_SECONDS, video_path
from mmsrec.demo.faults import ANSWERS
from mmsrec.demo.films import trailer_path
from mmsrec.demo.looks import Look
from mmsrec.demo.mirror import World
from mmsrec.demo.shop import Product, Shop, picture_path
from mmsrec.demo.taste_world import stream
from mmsrec.files import read_json, write_json
from mmsrec.workers import cores, end_with_parent

FOLDER = "media"  # folder below the mirror
FAULTS = "faults.json"  # the fault of each path that has one
SEARCH = "search.json"  # the pages that a search finds, by the key of its query
STAMP = "made.json"  # the digest of the files' inputs, and their sizes; null until all files are there
UNFINISHED = ".unfinished"  # the file that is being written
# The modules that determine the bytes of a file, besides its own data.
SOURCES = (looks, drawings, trailer_films)
ARTICLES = {"the", "a", "an"}
PACKAGES = ("av", "numpy", "pillow")


class Medium(NamedTuple):
    """A file to make: the seed and names of its random stream, its look, and the length of a film."""

    seed: int
    names: tuple[str, ...]
    look: Look
    seconds: int | None = None

    def make(self) -> bytes:
        """The file's content."""
        random = stream(self.seed, *self.names)
        if self.seconds is None:
            return drawings.picture(self.look, random)
        return trailer_films.trailer(self.look, random, self.seconds)


def media_of(world: World) -> dict[str, Medium]:
    """All media files of a world, by their path below the media's base URL."""
    films, corpus, arrivals = world.films, world.corpus, world.arrivals
    media = {
        picture_path(product): _picture(shop, product) for shop in world.shops.values() for product in shop.products
    }
    *new, copy = arrivals.products
    media |= {picture_path(product): _picture(arrivals.shop, product) for product in new}
    media[picture_path(copy)] = _picture(arrivals.shop, arrivals.copied)
    media |= {
        trailer_path(film): Medium(
            films.seed, (films.name, "trailer", film.trailer), film.look, film.trailer_fault.seconds
        )
        for film in films.films
    }
    media |= {
        video_path(video): Medium(corpus.seed, (corpus.name, "video", video.video_id), video.look, VIDEO_SECONDS)
        for video in corpus.videos
    }
    return media


def _picture(shop: Shop, product: Product) -> Medium:
    return Medium(shop.seed, (shop.name, "picture", product.asin), product.look)


def faults_of(world: World) -> dict[str, str]:
    """The fault of each path that the server answers with a fault."""
    shops = [*(shop.products for shop in world.shops.values()), world.arrivals.products]
    found = {picture_path(product): product.fault for products in shops for product in products}
    found |= {trailer_path(film): film.fault for film in world.films.films}
    found |= {video_path(video): video.fault for video in world.corpus.videos}
    return {path: fault for path, fault in found.items() if fault in ANSWERS}


def searches_of(world: World) -> dict[str, list[str]]:
    """The addresses that a search for a film's title finds, by search key; a path without a host is on this server."""
    found = {film.title: (film.trailer_fault.found_at, trailer_path(film)) for film in world.films.films}
    return {search_key(title): [f"{host}/{path}"] for title, (host, path) in found.items() if host is not None}


def search_key(query: str) -> str:
    """The words of a query in lower case and without articles: `Sea, The` and `The Sea` have the same key."""
    return " ".join(word for word in re.findall(r"\w+", query.casefold()) if word not in ARTICLES)


def write_media(mirror: Path, world: World) -> int:
    """Makes the media of a world in a folder of the mirror, unless they exist.

    Returns:
        The number of files made.
    """
    folder = mirror / FOLDER
    write_json(folder / FAULTS, faults_of(world))
    write_json(folder / SEARCH, searches_of(world))
    media = media_of(world)
    made_from = digest_of(media)
    stale = _stale(folder, list(media), made_from)
    if stale:
        for path in stale:
            (folder / path).unlink(missing_ok=True)
        write_json(folder / STAMP, {"made_from": made_from, "sizes": None})
        _make(folder, {path: media[path] for path in stale})
        sizes = {path: (folder / path).stat().st_size for path in media}
        write_json(folder / STAMP, {"made_from": made_from, "sizes": sizes})
    return len(stale)


def _stale(folder: Path, paths: Sequence[str], made_from: str) -> list[str]:
    stamp = read_json(folder / STAMP) if (folder / STAMP).is_file() else {}
    if stamp.get("made_from") != made_from:
        return list(paths)
    sizes = stamp["sizes"]
    return [path for path in paths if not _is_whole(folder / path, sizes[path] if sizes else None)]


def _is_whole(path: Path, size: int | None) -> bool:
    """Whether a file is there with its size. A killed run knows no sizes, but each file is whole or absent."""
    return path.is_file() and size in (None, path.stat().st_size)


def digest_of(rows: object) -> str:
    """A digest of data, drawing code and package versions: everything that determines the drawn bytes."""
    code = [Path(module.__file__).read_text("utf-8") for module in SOURCES]
    versions = [metadata.version(package) for package in PACKAGES]
    return sha256(repr([rows, code, versions]).encode()).hexdigest()


def _make(folder: Path, media: Mapping[str, Medium]) -> None:
    # Spawned processes: a forked copy of a process with threads may hang.
    with ProcessPoolExecutor(cores(), get_context("spawn"), end_with_parent) as workers:
        bodies = workers.map(Medium.make, media.values(), chunksize=8)
        unfinished = folder / UNFINISHED
        for path, body in zip(media, bodies, strict=True):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(body)
            unfinished.replace(folder / path)
