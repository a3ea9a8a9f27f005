"""Mutated files of other formats: settings, results, logs, weights, checkpoints, and rules of servers."""

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch

from mmsrec.crawl import robots
from mmsrec.crawl.entry import Entry
from mmsrec.crawl.ledger import Ledger
from mmsrec.inspect.describe import describe
from mmsrec.pairs.shard_files import read_index
from mmsrec.report.stored_results import MetricsResult, RetrievalResult, StatisticsResult, read_result
from mmsrec.settings.params import read_params
from mmsrec.sources.file_registry import read_registry
from mmsrec.sources.listing import read_listing
from mmsrec.sources.pins import LockFile
from mmsrec.training.checkpoint import Checkpoint, TrainingState, _digest_of, digest
from mmsrec.training.encoder_folder import read_pretrained_config
from mmsrec.training.import_authors import read_checkpoint
from mmsrec.training.model_folder import read_config, stored_settings
from mmsrec.training.weights import read_weights, write_weights
from tests.unit.fuzz.mutations import Parser, check
from tests.unit.training.examples import PRETRAINING

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
PRETRAINED = {"name": "small", "corpus": "c", "encoder": "e", "seed": 0, "settings": PRETRAINING.model_dump()}
PRETRAINED |= {"widths": {"vision": 4, "text": 4}, "encoder_digest": "d", "pairs": 5, "corpus_digest": "d"}
PRETRAINED |= {"processes": None}
EXPERIMENT = {"domain": "a", "k_core": 5, "split": "s", "variant": "v", "seed": 0}
METRICS = EXPERIMENT | {"candidates": ["all"], "ties": "item"}
METRICS |= {"metrics": {"all": {"mrr": 0.5}}, "chance": {"all": {"mrr": 0.1}}}
RECALLS = {"recall@1": 0.1, "recall@5": 0.2, "recall@10": 0.3, "median_rank": 2.0}
RETRIEVAL = {"pretraining": "p", "corpus": "c", "pairs": 5, "chance": RECALLS}
RETRIEVAL |= {"metrics": {"encoder": {"text_to_video": RECALLS, "video_to_text": RECALLS}}}
STATISTICS = {"domain": "a", "k_core": 5, "users": 1, "items": 1, "actions": 1, "sparsity": 0.0, "mean_length": 1.0}
SHARDS = {"selection": {"repository": "a/b", "revision": "main", "files": "*"}, "commit": None}
SHARDS |= {"shards": [{"path": "a/0.tar", "bytes": 3, "sha256": None}]}
PARAMS = b"crawl: {max_bytes: 5}\nsplits: &a {x: {ties: item}}\nb: *a\n"
REGISTRY = (
    b"dataset,file,url,sha256,bytes,licence,note\n"
    b'a,b.csv,https://h.example/b.csv,,5,free,"x, ""y"""\n'
    b"a,c.zip,https://h.example/c.zip,,,free,\na,d.txt,a/c.zip/e/d.txt,,,free,\n"
)
LOCK = b"file,url,sha256,bytes\na/b.csv,https://h.example/b.csv," + b"a" * 64 + b",5\n"
ROBOTS = (
    b"User-agent: *\nDisallow: /a*b$\nAllow: /a/c\nDisallow: /%7Ex?y=*\n\nUser-agent: mmsrec/2\nUser-agent: b\n"
    b"Disallow: /p\nCrawl-delay: 5\nSitemap: http://h.example/s.xml\n# text\n"
)
PATHS = ("/", "/a/c", "/axxb", "/~x?y=1", "/p%2Fq", "/robots.txt", "/" + "a" * 2000)
KEY = {"a": 1}
WEIGHTS = {"a.weight": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.float16), "c": torch.ones(2)}
STATE = TrainingState(model=WEIGHTS, optimizer={"state": {0: {"step": torch.ones(1)}}}, history=[{"epoch": 1.0}])
AUTHORS = {name: {"weight": torch.ones(2, 2)} for name in ("input", "embedding", "blocks", "output")}
TYPES = (b"F8_E5M2", b"F8_E4M3", b"BF16", b"F16", b"F64", b"I64", b"U8", b"U64", b"BOOL", b"C64", b"[0,0]", b"[]")
TYPES += (b'"__metadata__":', b"[18446744073709551615]", b"[4294967296,4294967296]")
LOGGED = (b'"status": "x"', b'"bytes":', b"true", b"{}", b"1.5", b"\\u0000", b"\\ud800", b'"path": 5, ', b"../", b"5")
OPCODES = (
    b"(",
    b")",
    b"\x85",
    b"\x86",
    b"\x87",
    b"R",
    b"b",
    b"Q",
    b"s",
    b"u",
    b"e",
    b"h\x00",
    b"q\x00",
    b"c__builtin__\n",
)
OPCODES += (
    b"K\xff",
    b"J\xff\xff\xff\x7f",
    b"X\xff\xff\xff\x7f",
    b"\x8a\xff",
    b"]",
    b"}",
    b"N",
    b".",
    b"0",
    b"2",
    b"t",
    b"\x81",
)


def ledger_log() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder) / "log", "r") as ledger:
            for number in range(5):
                state = "ok" if number % 2 else "dead"
                entry = Entry(
                    f"i{number}", state, "http://h/x", 200, 5, "a" * 64, 1, "reason", f"files/00/{number}.jpg"
                )
                ledger.record(entry, "http://h/x")
        return (Path(folder) / "log").read_bytes()


def replayed(path: Path) -> None:
    """Opens a log, adds an entry, and writes the table."""
    with Ledger(path, "r") as ledger:
        for number in range(5):
            ledger.is_final(f"i{number}", "http://h/x")
        items = [f"i{number}" for number in range(5)]
        ledger.record(Entry("new", "dead"), None)
        ledger.finalise(path.parent / "ledger.parquet", [*items, "new"])


def allowed(path: Path) -> None:
    rules = robots.parse(path.read_bytes().decode("utf-8", "replace"), "mmsrec")
    for asked in PATHS:
        rules.allow(asked)


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def pickled(whole: bytes) -> bytes:
    """The instructions of torch's file, which name its tensors."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


def with_pickle(whole: bytes, content: bytes) -> bytes:
    """A file of torch with other instructions."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(buffer, "w") as other:
        for name in archive.namelist():
            other.writestr(name, content if name.endswith("data.pkl") else archive.read(name))
    return buffer.getvalue()


def checkpoint(path: Path) -> None:
    """Loads a checkpoint whose name has the digest of its content, as if mmsrec had written it so."""
    content = path.read_bytes()
    folder = path.parent / "checkpoints"
    folder.mkdir(exist_ok=True)
    named = folder / f"checkpoint-{digest(KEY)}-000000001-{_digest_of(content)}.pt"
    named.write_bytes(content)
    try:
        Checkpoint(folder, KEY).load()
    finally:
        named.unlink()


def safetensors() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_weights(Path(folder), WEIGHTS)
        return (Path(folder) / "weights.safetensors").read_bytes()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", content)
    return buffer.getvalue()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


PARSERS = {
    "config": Parser(
        "config.json", dumped(CONFIG), lambda path: stored_settings(path.parent, read_config(path.parent))
    ),
    "pretrained config": Parser("config.json", dumped(PRETRAINED), lambda path: read_pretrained_config(path.parent)),
    "params": Parser("params.yaml", PARAMS, read_params, refused=True),
    "metrics": Parser("m.json", dumped(METRICS), lambda path: read_result(path, MetricsResult)),
    "retrieval": Parser("m.json", dumped(RETRIEVAL), lambda path: read_result(path, RetrievalResult)),
    "statistics": Parser("s.json", dumped(STATISTICS), lambda path: read_result(path, StatisticsResult)),
    "listing": Parser("shards.json", dumped(SHARDS), read_listing),
    "index": Parser("index.json", b'{"shards": {"00000.parquet": 5}}', lambda path: read_index(path.parent)),
    "registry": Parser("sources.csv", REGISTRY, read_registry),
    "lock": Parser("sources.lock.csv", LOCK, lambda path: LockFile(path).read()),
    "ledger": Parser("ledger.jsonl", ledger_log(), replayed, parts=LOGGED),
    "robots": Parser("robots.txt", ROBOTS, allowed, parts=(b"*", b"$", b"%", b"*" * 3000, b"User-agent:", b"Allow: /")),
    "weights": Parser("weights.safetensors", safetensors(), lambda path: read_weights(path.parent), parts=TYPES),
    "checkpoint": Parser("c.pt", saved(vars(STATE)), checkpoint),
    "checkpoint instructions": Parser(
        "c.pt", pickled(saved(vars(STATE))), checkpoint, lambda b: with_pickle(saved(vars(STATE)), b), parts=OPCODES
    ),
    "authors": Parser("a.pt", saved(AUTHORS), read_checkpoint),
    "authors' instructions": Parser(
        "a.pt", pickled(saved(AUTHORS)), read_checkpoint, lambda b: with_pickle(saved(AUTHORS), b), parts=OPCODES
    ),
    "inspect weights": Parser("w.safetensors", safetensors(), describe, parts=TYPES),
    "inspect json": Parser("c.json", dumped(CONFIG), describe),
    "inspect zip": Parser("a.zip", zipped(REGISTRY), describe),
    "inspect gzip": Parser("a.gz", gzip.compress(REGISTRY), describe),
    "inspect text": Parser("a.csv", REGISTRY, describe),
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_mutated_file_gives_a_result_or_a_project_error(tmp_path, name):
    check(name, PARSERS[name], tmp_path)
