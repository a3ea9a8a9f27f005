"""Mutated inputs of every parser: a result or a project error, in bounded time and memory.

MMSREC_FUZZ_CASES sets the number of inputs of each parser; the suite takes few.
"""

import gzip
import io
import json
import logging
import os
import random
import resource
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mmsrec.errors import MmsrecError
from mmsrec.features.feature_file import Provenance, read_features, write_features
from mmsrec.pairs.shard_files import read_index
from mmsrec.report.stored_results import MetricsResult, read_result
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.settings.params import read_params
from mmsrec.sources import amazon, amazon_2018, movielens, tables
from mmsrec.sources.captions import ingest_clips
from mmsrec.sources.listing import read_listing
from mmsrec.sources.trailer_ids import read_trailer_ids
from mmsrec.training.model_folder import _settings_of, read_config

CASES = int(os.environ.get("MMSREC_FUZZ_CASES", "60"))
SEED = 18
MOST_SECONDS = 10
MOST_BYTES = 1 << 30
# Parts that often break a parser, put at a random place.
PARTS = [
    *(b'"', b'""', b"'", b"\n", b"\r", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b",", b"\t", b"::", b"|", b"\\"),
    *(b"nan", b"-inf", b"1e999", b"99999999999999999999999", b"-1", b"0.0", b"null", b"NaN", b"\xed\xa0\x80"),
    *(b"[" * 2000, b"{" * 2000, b'{"a":' * 500, b"((((" * 200, b"9" * 6000, b"\\ud800", b"&#99999999;", b"!!python/x "),
]

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
CONFIG = {
    "experiment": {"domain": "beauty", "k_core": 5, "split": "shuffle", "variant": "sasrec", "seed": 0},
    "model": "gru4rec",
    "settings": {"dim": 64, "hidden": 64, "dropout": 0.1, "objective": "causal"},
    "trainer": {"max_length": 51, "augment": "none", "sampled_items": 0, "learning_rate": 0.1, "weight_decay": 0.0}
    | {"clip_norm": None, "batch_size": 8, "max_epochs": 1, "patience": 1, "precision": "float32"},
    "items": 5,
    "inputs": {"items.parquet": "0"},
    "pretrained": None,
}
METRICS = {"domain": "a", "k_core": 5, "split": "s", "variant": "v", "seed": 0, "candidates": ["all"], "ties": "item"}
METRICS |= {"metrics": {"all": {"mrr": 0.5}}, "chance": {"all": {"mrr": 0.1}}}
SHARDS = {"selection": {"repository": "a/b", "revision": "main", "files": "*"}, "commit": None}
SHARDS |= {"shards": [{"path": "a/0.tar", "bytes": 3, "sha256": None}]}
CLIPS = ClipCorpus(kind="clips", captions="x/captions.json", videos="x/{item_id}.mp4")
PARAMS = "crawl: {max_bytes: 5}\nsplits: &a {x: {ties: item}}\nb: *a\n"


def drained(read: Callable[..., object], *arguments: object) -> Callable[[Path], object]:
    return lambda path: [frame.height for frame in read(path, *arguments)]


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def features() -> bytes:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"mmsrec-fuzz-{os.getpid()}.parquet"
    vectors = np.random.default_rng(0).random((ROWS, 4))
    write_features(path, [str(n) for n in range(ROWS)], [1] * ROWS, vectors, Provenance("e", "d", "text", "p", "w"))
    content = path.read_bytes()
    path.unlink()
    return content


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def captions(path: Path) -> None:
    ingest_clips(CLIPS.model_copy(update={"captions": f"{path.parent.name}/{path.name}"}), path.parents[1], path.parent)


REFUSED = {"params"}  # a whole params.yaml would make each case slow

# The name of a file, its content, what packs a mutated content, and the parser.
Packing = Callable[[bytes], bytes]
plain: Packing = bytes
PARSERS: dict[str, tuple[str, bytes, Packing, Callable[[Path], object]]] = {
    "ratings": (
        "r.csv",
        INTERACTIONS.replace("user,item,timestamp\n", "").replace(",14", ",5,14").encode(),
        plain,
        drained(amazon.interactions),
    ),
    "meta": ("m.json.gz", META.encode(), lambda b: gzip.compress(b, 1), drained(amazon.items, ["title", "categories"])),
    "meta attributes": ("m.json.gz", META.encode(), lambda b: gzip.compress(b, 1), drained(amazon.attributes)),
    "meta gzip": ("m.json.gz", gzip.compress(META.encode()), plain, drained(amazon.items, ["title"])),
    "reviews 2018": ("r.json.gz", REVIEWS.encode(), lambda b: gzip.compress(b, 1), drained(amazon_2018.interactions)),
    "meta 2018": (
        "m.json.gz",
        META_2018.encode(),
        lambda b: gzip.compress(b, 1),
        drained(amazon_2018.items, ["title", "category"]),
    ),
    "ratings.dat": (
        "a.zip",
        RATINGS_DAT.encode(),
        lambda b: zipped("ml-1m/ratings.dat", b),
        drained(movielens.interactions),
    ),
    "movies.dat": (
        "a.zip",
        MOVIES_DAT.encode(),
        lambda b: zipped("ml-1m/movies.dat", b),
        drained(movielens.items, ["title", "genres"]),
    ),
    "films.zip": ("a.zip", zipped("ml-1m/movies.dat", MOVIES_DAT.encode()), plain, drained(movielens.items, ["title"])),
    "own interactions": ("a.csv", INTERACTIONS.encode(), plain, drained(tables.interactions)),
    "own items": ("a.csv", ITEMS.encode(), plain, drained(tables.items, ["title"])),
    "own attributes": ("a.csv", ITEMS.encode(), plain, drained(tables.attributes)),
    "own tsv": ("a.tsv", INTERACTIONS.replace(",", "\t").encode(), plain, drained(tables.interactions)),
    "further texts": ("a.csv", ITEMS.encode(), plain, lambda path: tables.further_texts([path])),
    "own parquet": ("a.parquet", parquet(pl.read_csv(INTERACTIONS.encode())), plain, drained(tables.interactions)),
    "own parquet items": ("a.parquet", parquet(pl.read_csv(ITEMS.encode())), plain, drained(tables.items, ["title"])),
    "captions": ("captions.json", CAPTIONS.encode(), plain, captions),
    "captions csv": ("c.csv", ITEMS.replace("title", "caption").encode(), plain, captions),
    "trailer ids": ("ml-youtube.csv", b'youtubeId,movieId,title\nK26_sDKnvMU,1,"a ""b"""\n', plain, read_trailer_ids),
    "features": ("f.parquet", features(), plain, lambda path: read_features(path, ["1", "2"])),
    "config": (
        "config.json",
        json.dumps(CONFIG).encode(),
        plain,
        lambda path: _settings_of(path.parent, read_config(path.parent)),
    ),
    "params": ("params.yaml", PARAMS.encode(), plain, read_params),
    "metrics": ("metrics.json", json.dumps(METRICS).encode(), plain, lambda path: read_result(path, MetricsResult)),
    "listing": ("shards.json", json.dumps(SHARDS).encode(), plain, read_listing),
    "index": ("index.json", b'{"shards": {"00000.parquet": 5}}', plain, lambda path: read_index(path.parent)),
}


def mutated(content: bytes, generator: random.Random) -> bytes:
    """The content with one to four changes."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        start = generator.randrange(len(changed) + 1)
        end = min(len(changed), start + generator.choice([1, 1, 3, 20, len(changed)]))
        match generator.randrange(6):
            case 0:
                del changed[start:end]
            case 1:
                changed[start:start] = generator.choice(PARTS)
            case 2:
                changed[start:end] = generator.randbytes(end - start)
            case 3:
                changed[start:start] = changed[start:end]
            case 4:
                changed[start:end] = generator.choice(PARTS)
            case 5 if start < len(changed):
                changed[start] ^= 1 << generator.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("name", PARSERS)
def test_a_mutated_input_gives_a_result_or_a_project_error(tmp_path, name, record_property):
    file, content, pack, parse = PARSERS[name]
    generator = random.Random(f"{SEED} {name}")
    path = tmp_path / "raw" / file
    path.parent.mkdir()
    refused, slowest, before = 0, 0.0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    logging.disable(logging.CRITICAL)
    try:
        for case in range(CASES):
            body = mutated(content, generator) if case else content
            path.write_bytes(pack(body))
            start = time.monotonic()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    parse(path)
            except MmsrecError:
                assert case or name in REFUSED, "the unchanged input is read"
                refused += 1
            except BaseException as error:
                raise AssertionError(f"{name}, case {case}: {type(error).__name__}: {body[:2000]!r}") from error
            slowest = max(slowest, time.monotonic() - start)
    finally:
        logging.disable(logging.NOTSET)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    record_property("summary", f"{refused} of {CASES} refused, slowest {slowest:.2f} s, {grown >> 20} MB")
    print(f"{name}: {refused:,} of {CASES:,} refused, slowest {slowest:.2f} s, grown by {grown >> 20:,} MB")
    assert slowest < MOST_SECONDS
    assert grown < MOST_BYTES
