"""Mutated raw files: Amazon's, MovieLens', a user's own tables, captions, trailer ids and shards of clips."""

import gzip
import io
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmsrec.recommend.catalogue import Catalogue
from mmsrec.recommend.request_files import exclusions, read_item_ids
from mmsrec.recommend.user_histories import read_histories
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.sources import amazon, amazon_2018, movielens, tables
from mmsrec.sources.archive import open_members
from mmsrec.sources.captions import ingest_clips
from mmsrec.sources.shards import read_clips
from mmsrec.sources.trailer_ids import read_trailer_ids
from tests.unit.fuzz.mutations import Parser, check
from tests.unit.sources.tars import clip, npy, some_clips, write_clips, write_tar

ROWS = 30
INTERACTIONS = "user,item,timestamp\n" + "".join(f"u{n % 7},{n % 9},{1404172800 + n}\n" for n in range(ROWS))
ITEMS = "item_id,title,attributes\n" + "".join(f'{n},"t ""{n}"", x",brand=b{n}|c=d\n' for n in range(ROWS))
META = "".join(repr({"asin": f"B{n}", "title": f"T {n}", "categories": [["a", "b"]]}) + "\n" for n in range(ROWS))
META_2018 = "".join(json.dumps({"asin": f"B{n}", "title": "T", "category": ["a"]}) + "\n" for n in range(ROWS))
REVIEWS = "".join(
    json.dumps({"reviewerID": f"A{n}", "asin": "B", "unixReviewTime": 1404172800}) + "\n" for n in range(ROWS)
)
RATINGS_DAT = "".join(f"{n}::{n}::5::978300760\n" for n in range(ROWS))
MOVIES_DAT = "".join(f"{n}::Film {n}, The (1999)::Drama|War\n" for n in range(ROWS))
CAPTIONS = json.dumps({"sentences": [{"video_id": f"v{n}", "caption": "a cat"} for n in range(ROWS)]})
CLIPS = ClipCorpus(kind="clips", captions="x/captions.json", videos="x/{item_id}.mp4")


def drained(read: Callable[..., object], *arguments: object) -> Callable[[Path], object]:
    return lambda path: [frame.height for frame in read(path, *arguments)]


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def dates() -> bytes:
    """Interactions whose times, users and items have other types than in most tables."""
    times = pa.array([1404172800 + n for n in range(ROWS)], pa.timestamp("s", tz="Asia/Tokyo"))
    users = pa.array([f"u{n % 7}" for n in range(ROWS)]).dictionary_encode()
    buffer = io.BytesIO()
    items = pa.array([float(n % 9) for n in range(ROWS)])
    pq.write_table(pa.table({"user": users, "item": items, "timestamp": times}), buffer)
    return buffer.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def captions(path: Path) -> None:
    ingest_clips(CLIPS.model_copy(update={"captions": f"{path.parent.name}/{path.name}"}), path.parents[1], path.parent)


def shard(members) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_tar(Path(folder) / "a.tar", members).read_bytes()


def clips() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_clips(Path(folder) / "a.tar", some_clips(4, WIDTH)).read_bytes()


def with_array(array: bytes) -> bytes:
    """A shard of two clips; the first has this array."""
    return shard([("a.npy", array), ("a.txt", b"words"), *clip("b", FRAMES, "more")])


def members(path: Path) -> None:
    with open_members(path, 1 << 20) as archive:
        if "a/b.txt" in archive:
            with archive.open("a/b.txt") as body:
                body.read()


CATALOGUE = Catalogue(pl.DataFrame({"item_id": [str(n) for n in range(9)], "title": "T"}).with_row_index("place"))
WIDTH = 4
FRAMES = np.ones((3, WIDTH), np.float32)
NPY = (b"'<f4'", b"'>f2'", b"'O'", b"'|V8'", b"True", b"(3, 4)", b"(0, 4)", b"(-1,)", b"(9999999999, 4)", b"'descr': ")
TAR = (
    b"0000644\x00",
    b"77777777777\x00",
    b"\x80\xff\xff\xff",
    b"L",
    b"x",
    b"2",
    b"S",
    b"ustar  \x00",
    bytes(512),
    bytes(1024),
)


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1)


PARSERS = {
    "ratings": Parser(
        "r.csv",
        INTERACTIONS.replace("user,item,timestamp\n", "").replace(",14", ",5,14").encode(),
        drained(amazon.interactions),
    ),
    "meta": Parser("m.json.gz", META.encode(), drained(amazon.items, ["title", "categories"]), gzipped),
    "meta attributes": Parser("m.json.gz", META.encode(), drained(amazon.attributes), gzipped),
    "meta gzip": Parser("m.json.gz", gzipped(META.encode()), drained(amazon.items, ["title"])),
    "reviews 2018": Parser("r.json.gz", REVIEWS.encode(), drained(amazon_2018.interactions), gzipped),
    "meta 2018": Parser("m.json.gz", META_2018.encode(), drained(amazon_2018.items, ["title", "category"]), gzipped),
    "ratings.dat": Parser(
        "a.zip", RATINGS_DAT.encode(), drained(movielens.interactions), lambda b: zipped("ml-1m/ratings.dat", b)
    ),
    "movies.dat": Parser(
        "a.zip",
        MOVIES_DAT.encode(),
        drained(movielens.items, ["title", "genres"]),
        lambda b: zipped("ml-1m/movies.dat", b),
    ),
    "films.zip": Parser("a.zip", zipped("ml-1m/movies.dat", MOVIES_DAT.encode()), drained(movielens.items, ["title"])),
    "members": Parser("a.zip", zipped("a/b.txt", MOVIES_DAT.encode()), members, parts=(b"PK\x01\x02", b"PK\x05\x06")),
    "own interactions": Parser("a.csv", INTERACTIONS.encode(), drained(tables.interactions)),
    "own items": Parser("a.csv", ITEMS.encode(), drained(tables.items, ["title"])),
    "own attributes": Parser("a.csv", ITEMS.encode(), drained(tables.attributes)),
    "own tsv": Parser("a.tsv", INTERACTIONS.replace(",", "\t").encode(), drained(tables.interactions)),
    "further texts": Parser("a.csv", ITEMS.encode(), lambda path: tables.further_texts([path])),
    "own parquet": Parser("a.parquet", parquet(pl.read_csv(INTERACTIONS.encode())), drained(tables.interactions)),
    "own parquet dates": Parser("a.parquet", dates(), drained(tables.interactions)),
    "own parquet items": Parser("a.parquet", parquet(pl.read_csv(ITEMS.encode())), drained(tables.items, ["title"])),
    "own histories": Parser("a.csv", INTERACTIONS.encode(), lambda path: read_histories(path, CATALOGUE)),
    "own candidates": Parser("a.csv", b"item\n1\n2\n3\n", read_item_ids),
    "own exclusions": Parser("a.csv", b"user,item\na,1\nb,2\n", lambda path: exclusions([str(path)])),
    "captions": Parser("captions.json", CAPTIONS.encode(), captions),
    "captions csv": Parser("c.csv", ITEMS.replace("title", "caption").encode(), captions),
    "trailer ids": Parser("ml-youtube.csv", b'youtubeId,movieId,title\nK26_sDKnvMU,1,"a ""b"""\n', read_trailer_ids),
    "shard": Parser("a.tar", clips(), lambda path: list(read_clips(path, WIDTH, Counter())), parts=TAR),
    "shard array": Parser(
        "a.tar", npy(FRAMES), lambda path: list(read_clips(path, WIDTH, Counter())), with_array, parts=NPY
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_mutated_raw_file_gives_a_result_or_a_project_error(tmp_path, name):
    check(name, PARSERS[name], tmp_path)
