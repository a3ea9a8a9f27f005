"""Writes the demo world as a mirror: a folder with the raw files that a host would serve."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmsrec.demo.addresses import MEDIA
from mmsrec.demo.arrivals import Arrivals, arrivals_gz, make_arrivals
from mmsrec.demo.clip_world import Corpus, captions_json, jsfusion_csv, make_corpus
from mmsrec.demo.films import FilmSite, films_zip, make_film_site, trailer_ids_csv
from mmsrec.demo.shop import Shop, make_shop, metadata_gz, ratings_csv
from mmsrec.demo.taste_world import WorldSize
from mmsrec.files import atomic_path


@dataclass(frozen=True)
class World:
    """Shops, a film site and a corpus of clips, whose users and items share the circles of taste.

    The keys of `shops` are the names of their vocabularies. `arrivals` are new items of the first shop.
    """

    shops: Mapping[str, Shop]
    films: FilmSite
    corpus: Corpus
    arrivals: Arrivals


def make_world(size: WorldSize, seed: int) -> World:
    """Makes the sites and the corpus of a world; equal arguments make equal worlds."""
    shops = {name: make_shop(shop, seed, name) for name, shop in size.shops.items()}
    return World(
        shops,
        make_film_site(size.films, seed, "films"),
        make_corpus(size.corpus, seed, "clips"),
        make_arrivals(next(iter(shops.values())), size.arrivals),
    )


def raw_files(world: World, media_base: str = MEDIA) -> dict[str, bytes]:
    """The raw files of a world, by their path in the mirror; equal worlds have equal bytes."""
    shops = world.shops.values()
    return {
        **{f"demo/ratings_{shop.sold.file}.csv": ratings_csv(shop) for shop in shops},
        **{f"demo/meta_{shop.sold.file}.json.gz": metadata_gz(shop, media_base) for shop in shops},
        "demo/meta_New.json.gz": arrivals_gz(world.arrivals, media_base),
        "demo/films.zip": films_zip(world.films),
        "demo/ml-youtube.csv": trailer_ids_csv(world.films),
        "demo/MSRVTT_data.json": captions_json(world.corpus),
        "demo/MSRVTT_JSFUSION_test.csv": jsfusion_csv(world.corpus),
    }


def write_mirror(folder: Path, world: World, media_base: str = MEDIA) -> list[Path]:
    """Writes the raw files of a world below `folder`, except files that already have the same bytes.

    Returns:
        The paths written.
    """
    files = {folder / name: content for name, content in raw_files(world, media_base).items()}
    stale = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    for path in stale:
        with atomic_path(path) as temporary:
            temporary.write_bytes(files[path])
    return stale
