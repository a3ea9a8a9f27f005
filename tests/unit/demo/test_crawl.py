"""The faults of the demo through the real crawls: what docs/demo.md says of each, at the size `test`."""

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mmsrec.crawl.images import crawl_images
from mmsrec.crawl.trailers import crawl_trailers
from mmsrec.demo.mirror import raw_files
from mmsrec.demo.server import serving
from mmsrec.settings.params import read_params
from mmsrec.sources.ingest import ingest
from mmsrec.sources.trailer_ids import read_trailer_ids
from tests.unit.crawl.examples import PARAMS, ledger, policy
from tests.unit.demo.truth import SHOPS, read_metadata

PARTS = {"hasty": (1.0, 1.0), "patient": (20.0, 60.0)}  # read and total timeout
SOUND = 3  # trailers that nothing is wrong with

PICTURES = {
    None: ("ok", 1),
    "no link": ("missing", 0),
    "moved": ("ok", 1),
    "unreachable": ("failed", 2),
    "gone": ("dead", 1),
    "flaky": ("ok", 2),
    "throttled": ("ok", 2),
    "slow": ("failed", 2),
    "truncated": ("undecodable", 1),
    "html": ("undecodable", 1),
    "oversize": ("oversize", 1),
    "bomb": ("undecodable", 1),
    "opted out": ("refused", 1),
    "forbidden": ("refused", 1),
    "loop": ("dead", 1),
    "local file": ("refused", 1),
}
# Attempts count the searches, too.
TRAILERS = {
    None: ("ok", 1),
    "no id": ("ok", 2),
    "mangled id": ("ok", 2),
    "stale id": ("ok", 3),
    "no trailer": ("dead", 1),
    "unreachable": ("failed", 3),
    "gone": ("dead", 2),
    "flaky": ("ok", 2),
    "throttled": ("ok", 2),
    "slow": ("failed", 3),
    "truncated": ("undecodable", 2),
    "html": ("undecodable", 2),
    "oversize": ("oversize", 2),
    "loop": ("failed", 3),
    "too long": ("oversize", 2),
}


@pytest.fixture(scope="module")
def base(mirror):
    with serving(mirror, port=0) as url:
        yield url


def outcomes(folder, faults):
    """The states and attempts of the items of each fault."""
    found = defaultdict(set)
    for ledger_of_a_part in (ledger(folder / part) for part in PARTS):
        for item, row in ledger_of_a_part.items():
            found[faults[item]].add((row["state"], row["attempts"]))
    return found


def parts(items, faults):
    """The items whose fault takes time, and the others: these get timeouts that a busy machine does not reach."""
    hasty = pa.array([faults[item] == "slow" for item in items["item_id"].to_pylist()])
    return {"hasty": items.filter(hasty), "patient": items.filter(pc.invert(hasty))}


@pytest.mark.parametrize("shop", SHOPS)
def test_pictures_end_in_the_state_of_their_fault(world, base, tmp_path, shop):
    faults = {product.asin: product.fault for product in world.shops[shop].products}
    links = {record["asin"]: record.get("imUrl") for record in read_metadata(raw_files(world, base), shop)[0]}
    items = pa.table({"item_id": pa.array(links), "url": pa.array(links.values(), pa.string())})
    rules = policy(attempts=2, max_bytes=1_000_000, host_rewrites={"http://media.example": [base]})
    for part, some in parts(items, faults).items():
        read, total = PARTS[part]
        crawl_images(some, tmp_path / part, rules.model_copy(update={"read_timeout": read, "total_timeout": total}))

    assert outcomes(tmp_path, faults) == {fault: {end} for fault, end in PICTURES.items()}


def test_trailers_end_in_the_state_of_their_fault(world, mirror, base, tmp_path):
    ingest("movielens", mirror / "demo/films.zip", mirror / "demo/films.zip", ["title"], tmp_path / "ingested")
    titles = pq.read_table(tmp_path / "ingested/items.parquet", columns=["item_id", "title"])
    faults = {str(film.movie_id): film.fault for film in world.films.films}
    sound = [film for film, fault in faults.items() if fault is None][:SOUND]
    wanted = pa.array([film for film, fault in faults.items() if fault or film in sound])
    items = titles.filter(pc.is_in(titles["item_id"], wanted))
    changes = {
        "url": base + "/trailers/{id}.mp4",
        "search": base + "/search?hits={hits}&q={title}",
        "extractors": ["generic"],
        "min_seconds": 2,
        "max_seconds": 30,
        "max_bytes": 1_000_000,
        "attempts": 2,
        "pause": 0.001,
        "max_pause": 0.01,
    }
    rules = read_params(PARAMS).crawl.trailers.model_copy(update=changes)
    known = read_trailer_ids(mirror / "demo/ml-youtube.csv")
    for part, some in parts(items, faults).items():
        _, total = PARTS[part]
        timeouts = {"read_timeout": 20.0, "total_timeout": total}
        crawl_trailers(some, known, tmp_path / part, rules.model_copy(update=timeouts))

    assert outcomes(tmp_path, faults) == {fault: {end} for fault, end in TRAILERS.items()}
