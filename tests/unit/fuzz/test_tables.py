"""Mutated Parquet files that one stage writes and another reads."""

import io
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.evaluation.metrics import gains
from mmsrec.features.feature_file import Provenance, read_features, write_features
from mmsrec.features.frame_table import SAMPLING, UNDECODABLE, read_undecodable
from mmsrec.features.item_inputs import frame_inputs, text_inputs
from mmsrec.features.pictures_on_disk import ledger_files
from mmsrec.features.vector_table import extract_table
from mmsrec.inspect.describe import describe
from mmsrec.inspect.nearest import nearest
from mmsrec.models.attributes import Attributes
from mmsrec.models.dataset import read_dataset
from mmsrec.pairs.read import Pairs
from mmsrec.pairs.write import write_pairs
from mmsrec.recommend.catalogue import Catalogue
from mmsrec.recommend.user_histories import known_histories
from mmsrec.report.target_counts import target_counts
from mmsrec.report.user_gains import user_ranks
from mmsrec.sequences.prepare import prepare
from mmsrec.settings.encoding import TableEncoder
from mmsrec.settings.plan import Experiment
from mmsrec.sources.union import unite
from tests.unit.fuzz.mutations import Parser, check
from tests.unit.pairs.stored_pairs import PROVENANCE as OF_PAIRS
from tests.unit.pairs.stored_pairs import ids, some_pairs, write_frames

ROWS = 20
USERS = [f"u{n}" for n in range(ROWS)]
ITEMS = [f"i{n}" for n in range(ROWS)]


def stored(kind: str, columns: dict[str, list], metadata: dict[str, str] | None = None) -> bytes:
    """A table of a kind of artifact."""
    buffer = io.BytesIO()
    table = pa.table(columns, schema=SCHEMAS[kind]).replace_schema_metadata(metadata)
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def features() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        vectors = np.random.default_rng(0).random((ROWS, 4))
        path = Path(folder) / "text.parquet"
        write_features(path, ITEMS, [1] * ROWS, vectors, Provenance("e", "d", "text", "p", "w"))
        return path.read_bytes()


def shards(*, frames: bool) -> dict[str, bytes]:
    """A folder of pairs, with means or with frames."""
    with tempfile.TemporaryDirectory() as folder:
        if frames:
            write_frames(Path(folder), np.ones((6, 3), np.float16), np.array([1, 2, 3]), np.ones((3, 5), np.float16))
        else:
            write_pairs(Path(folder), ids(9), some_pairs(9), OF_PAIRS)
        return files_of(Path(folder))


def vectors() -> bytes:
    buffer = io.BytesIO()
    numbers = np.random.default_rng(0).random((ROWS, 3)).tolist()
    pl.DataFrame({"item_id": ITEMS, "embedding": numbers}).write_parquet(buffer)
    return buffer.getvalue()


TEXTS = {"title": ["T"] * ROWS, "text": ["a cat"] * ROWS, "media_url": [None] * ROWS}
OF_ITEMS = stored("items", {"item_index": list(range(ROWS)), "item_id": ITEMS} | TEXTS)
RAW_ITEMS = stored("raw_items", {"item_id": ITEMS} | TEXTS)
ACTIONS = {"user": USERS * 5, "item": [ITEMS[n % 7] for n in range(5 * ROWS)], "timestamp": list(range(5 * ROWS))}
INTERACTIONS = stored("interactions", ACTIONS)
ORDERED = {"items": [[n, 1, 2, 3] for n in range(ROWS)], "timestamps": [[1, 2, 3, 4]] * ROWS}
SEQUENCES = stored("sequences", {"user_index": list(range(ROWS)), "user": USERS} | ORDERED)
RANKS = {"user": USERS, "target": ITEMS, "rank": [1.5] * ROWS, "ties": [2] * ROWS, "unseen_rank": [1.0] * ROWS}
RANKS |= {"unseen_ties": [1] * ROWS, "top": [[1, 2, 3]] * ROWS}
HISTORY = {"epoch": [1, 2], "loss": [0.5, 0.4], "recall@10": [0.1, None], "learning_rate": [0.1, 0.1]}
HISTORY |= {"seconds": [1.0, 1.0], "positions": [5, 5], "efficiency": [0.5, 0.5]}
CRAWLED = {"item_id": ITEMS, "state": ["ok", "dead"] * 10, "url": ["u"] * ROWS, "status": [200] * ROWS}
CRAWLED |= {"bytes": [5] * ROWS, "sha256": ["a" * 64] * ROWS, "attempts": [1] * ROWS, "error": [None] * ROWS}
CRAWLED |= {"path": ["files/00/a.jpg"] * ROWS}
SEEN = {"item_id": sorted(ITEMS), "frame_index": [0] * ROWS, "seconds": [0.5] * ROWS, "jpeg": [b"jpeg"] * ROWS}
FRAMES = stored("frames", SEEN, {SAMPLING: "{}", UNDECODABLE: json.dumps({"x": "no frames"})})
ATTRIBUTES = stored("attributes", {"item_id": ITEMS, "attributes": [["a=b", "c=d"]] * ROWS})
GIVEN = TableEncoder.model_construct(kind="table", text="v.parquet", vision=None)
CPU = torch.device("cpu")
RANKS_OF = SimpleNamespace(
    params=SimpleNamespace(splits={"s": SimpleNamespace(protocols=())}), ranks_schema=lambda split: SCHEMAS["ranks"]
)


def ranks(path: Path) -> None:
    inputs = SimpleNamespace(**vars(RANKS_OF), ranks_path=lambda experiment: path)
    table = user_ranks(inputs, Experiment("d", 5, "s", "v", 0))
    gains(table["rank"].to_numpy(), table["ties"].to_numpy(), "ndcg@10")


def union(path: Path) -> None:
    unite(path.parents[1], [path.parent.name], path.parents[1] / "united")


def features_of(path: Path) -> None:
    read_features(path, ITEMS)
    nearest(path, "i1", 3)


def frames_of(path: Path) -> None:
    read_undecodable(path)
    for batch in frame_inputs(path.parent / "items.parquet", path, "d", 4, required=False).batches:
        assert len(batch.sizes)


def given(path: Path) -> None:
    extract_table(path.parent / "items.parquet", path, "e", GIVEN, "text", path.parent / "out.parquet", domain="d")


BESIDE = {"items.parquet": OF_ITEMS}
PARSERS = {
    "interactions": Parser(
        "interactions.parquet",
        INTERACTIONS,
        lambda path: prepare(path.parent, path.parents[1] / "core", domain="d", k=2),
        beside={"items.parquet": RAW_ITEMS},
    ),
    "raw items": Parser(
        "items.parquet",
        RAW_ITEMS,
        lambda path: prepare(path.parent, path.parents[1] / "core", domain="d", k=2),
        beside={"interactions.parquet": INTERACTIONS},
    ),
    "union": Parser("items.parquet", RAW_ITEMS, union, beside={"interactions.parquet": INTERACTIONS}),
    "items": Parser(
        "items.parquet",
        OF_ITEMS,
        lambda path: (Catalogue.read([path]).titles.to_list(), text_inputs(path, "d", 4)),
    ),
    "sequences": Parser(
        "sequences.parquet",
        SEQUENCES,
        lambda path: read_dataset(path.parent / "items.parquet", path, {}, CPU),
        beside=BESIDE,
    ),
    "histories": Parser("sequences.parquet", SEQUENCES, lambda path: known_histories(path).rows()),
    "counts": Parser("sequences.parquet", SEQUENCES, lambda path: target_counts(path, ROWS)),
    "ranks": Parser("ranks.parquet", stored("ranks", RANKS), ranks),
    "history": Parser(
        "history.parquet", stored("history", HISTORY), lambda path: read_table(path, SCHEMAS["history"]).to_pylist()
    ),
    "ledger table": Parser("ledger.parquet", stored("ledger", CRAWLED), lambda path: ledger_files(path.parent)),
    "frames": Parser("frames.parquet", FRAMES, frames_of, beside=BESIDE),
    "attributes": Parser("attributes.parquet", ATTRIBUTES, lambda path: Attributes.read(path, ITEMS)),
    "features": Parser("text.parquet", features(), features_of),
    "vectors": Parser("v.parquet", vectors(), given, beside=BESIDE),
    "pairs": Parser(
        "00000.parquet",
        shards(frames=False)["00000.parquet"],
        lambda path: Pairs(path.parent).read_all(),
        beside=shards(frames=False),
    ),
    "pairs of frames": Parser(
        "00000.parquet",
        shards(frames=True)["00000.parquet"],
        lambda path: Pairs(path.parent).read_all(),
        beside=shards(frames=True),
    ),
    "inspect ledger": Parser("l.parquet", stored("ledger", CRAWLED), describe),
    "inspect frames": Parser("f.parquet", FRAMES, describe),
    "inspect features": Parser("e.parquet", features(), lambda path: describe(path, path)),
    "inspect table": Parser("t.parquet", INTERACTIONS, lambda path: describe(path, path)),
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_mutated_table_gives_a_result_or_a_project_error(tmp_path, name):
    check(name, PARSERS[name], tmp_path)
