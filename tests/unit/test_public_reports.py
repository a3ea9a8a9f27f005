"""Public bug reports of neighbouring tools, each as an input of mmsrec. A name is REPOSITORY#NUMBER."""

import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import mmsrec
from mmsrec.artifacts import SCHEMAS, read_table, write_table
from mmsrec.crawl import robots
from mmsrec.crawl.policy import opted_out
from mmsrec.errors import ArtifactError, CheckpointError, DataError, ParseError
from mmsrec.evaluation.evaluate import evaluate
from mmsrec.evaluation.metrics import chance, metrics
from mmsrec.evaluation.ranks import rank_by_protocol
from mmsrec.files import read_json
from mmsrec.models.sasrec_settings import SASRecSettings
from mmsrec.sequences.order import order
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.settings.evaluation import Evaluation
from mmsrec.settings.params import read_params
from mmsrec.sources import amazon, tables
from mmsrec.sources.captions import ingest_clips
from mmsrec.sources.pins import LockFile
from mmsrec.training.import_authors import read_checkpoint
from mmsrec.training.model_folder import load
from mmsrec.training.torch_file import NotReadable, read_torch_file
from mmsrec.training.train import train
from tests.unit.training.examples import TRAINER, chosen
from tests.unit.training.test_model_folder import EXPERIMENT, ITEMS, dataset, write_shop, write_text

PARAMS = Path(__file__).parents[2] / "params.yaml"
MARK = b"\xef\xbb\xbf"
BLOCKS = SASRecSettings(dim=16, layers=1, heads=2, feedforward=32, embedding_dropout=0.1, hidden_dropout=0.1)
START = 1404172800


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop of 24 users and 8 items with a trained model of its texts."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder, actions=5)
    write_text(folder)
    train(EXPERIMENT, chosen(), dataset(folder), folder / "model")
    return folder


def times(folder: Path, column: pa.Array) -> list[int]:
    """The times that a table with this column of timestamps gives."""
    rows = {"user": ["u"] * len(column), "item": [f"i{n}" for n in range(len(column))], "timestamp": column}
    pq.write_table(pa.table(rows), folder / "t.parquet")
    return pl.concat(tables.interactions(folder / "t.parquet"))["timestamp"].to_list()


def ids(folder: Path, column: pa.Array) -> list[str]:
    """The items that a table with this column of items gives."""
    rows = {"user": ["u"] * len(column), "item": column, "timestamp": [START] * len(column)}
    pq.write_table(pa.table(rows), folder / "t.parquet")
    return pl.concat(tables.interactions(folder / "t.parquet"))["item"].to_list()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_times_that_are_rounded_are_refused(tmp_path, kind):
    """RUCAIBox/RecBole#2204: times in float32 put a user's actions into another order."""
    exact = np.array([START + 60, START, START + 30])
    assert times(tmp_path, pa.array(exact.astype(np.float64))) == exact.tolist()
    with pytest.raises(ParseError, match="rounds its times"):
        times(tmp_path, pa.array((exact if kind == np.float32 else exact % 7).astype(kind)))


def test_times_of_any_zone_and_unit_are_the_same_seconds(tmp_path, capfd):
    """A sibling of RUCAIBox/RecBole#2204: the unit and the zone of a column of times."""
    moment = [datetime.fromtimestamp(START, UTC)]
    for kind in (pa.timestamp("s"), pa.timestamp("ms", "Asia/Tokyo"), pa.timestamp("ns", "America/New_York")):
        assert times(tmp_path, pa.array(moment, kind)) == [START]
    for kind in (pa.timestamp("ms"), pa.timestamp("us"), pa.date64()):
        with pytest.raises(ParseError):
            times(tmp_path, pa.array([2**62], kind))
    assert "panicked" not in capfd.readouterr().err


def test_equal_times_put_no_pattern_of_ids_into_the_order():
    """yueqirex/LRURec#1: ties sorted by item id make a later item the one with the larger id."""
    rows = [(f"u{user}", f"i{item}", 7) for user in range(200) for item in range(2)]
    actions = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    shuffled = order(actions, "shuffle", seed=1)
    ascending = shuffled.group_by("user", maintain_order=True).agg("item")["item"].list.first() == "i0"
    assert 60 < ascending.sum() < 140
    assert shuffled.equals(order(actions.sample(fraction=1, shuffle=True, seed=3), "shuffle", seed=1))


def test_recommendations_are_as_many_as_asked_and_none_is_excluded(shop):
    """benfred/implicit#736: with excluded items, more than N items came back; with few candidates, invalid ones."""
    model = mmsrec.load(shop / "model")
    history = {"u": ["item0", "item1"]}
    exclude = ["item2", "item3"]
    assert model.recommend(history, top=3, exclude=exclude)["item_id"].len() == 3
    found = model.recommend(history, top=10, candidates=["item0", "item2", "item5", "item5"], exclude=exclude)
    assert found["item_id"].to_list() == ["item5"]
    assert np.isfinite(found["score"].to_numpy()).all()


@pytest.mark.parametrize("name", ["pop", "sasrec", "mmsrec"])
def test_the_test_items_change_no_weight(tmp_path, name):
    """RUCAIBox/RecBole#620: the test items were among the interactions that a model saw in training."""
    weights = []
    for number in range(2):
        folder = tmp_path / str(number)
        write_shop(folder, actions=5)
        write_text(folder)
        path = folder / "data/sequences.parquet"
        rows = pl.from_arrow(read_table(path, SCHEMAS["sequences"]))
        other = pl.concat_list(pl.col("items").list.head(4), (pl.col("items").list.last() + number) % len(ITEMS))
        write_table(path, rows.with_columns(items=other).to_arrow(), SCHEMAS["sequences"])
        settings = chosen(name, BLOCKS) if name == "sasrec" else chosen(name)
        train(EXPERIMENT, settings, dataset(folder, features=name == "mmsrec"), folder / "model")
        weights.append((folder / "model/weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_byte_order_mark_is_no_part_of_any_text(tmp_path):
    """apache/arrow#4382: a CSV file that an editor saved with a mark has a first column of another name."""
    (tmp_path / "a.csv").write_bytes(MARK + b"user,item,timestamp\r\nu,i,1404172800\r\n")
    assert pl.concat(tables.interactions(tmp_path / "a.csv")).rows() == [("u", "i", START)]
    (tmp_path / "l.csv").write_bytes(MARK + b"file,url,sha256,bytes\na/b.csv,," + b"a" * 64 + b",5\n")
    assert list(LockFile(tmp_path / "l.csv").read()) == ["a/b.csv"]
    (tmp_path / "a.json").write_bytes(MARK + b"{}")
    assert read_json(tmp_path / "a.json") == {}
    (tmp_path / "m.json.gz").write_bytes(gzip.compress(MARK + b"{'asin': 'B1', 'title': 'T'}\n"))
    assert pl.concat(amazon.items(tmp_path / "m.json.gz", ["title"]))["item_id"].to_list() == ["B1"]
    said = {"sentences": [{"video_id": "v1", "caption": "a cat"}]}
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/c.json").write_bytes(MARK + json.dumps(said).encode())
    ingest_clips(ClipCorpus(kind="clips", captions="raw/c.json", videos="x/{item_id}.mp4"), tmp_path, tmp_path / "out")
    assert read_table(tmp_path / "out/captions.parquet").column("text").to_pylist() == ["a cat"]


@pytest.mark.parametrize(
    "instructions", [b"\x80\x02\x87.", b"\x80\x02h\x05.", b"\x80\x02J\x01", b"\x80\x02X\x01\x00\x00\x00\xff.", b""]
)
def test_damaged_instructions_of_torch_are_a_project_error(tmp_path, instructions):
    """pytorch/pytorch#127525: a damaged file raises IndexError, struct.error and others."""
    with pytest.raises(NotReadable):
        read_torch_file(io.BytesIO(instructions))
    (tmp_path / "a.pt").write_bytes(instructions)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_table_that_polars_stops_at_is_an_error_of_one_message(tmp_path):
    """pola-rs/polars#18085: a Parquet file makes polars panic, which is no Exception in Python."""
    columns = {"user_index": [0], "user": ["u"], "items": [[1]], "timestamps": [[1]]}
    table = pa.table(columns, schema=SCHEMAS["sequences"]).replace_schema_metadata({"a": "MMMM"})
    pq.write_table(table, tmp_path / "s.parquet")
    (tmp_path / "s.parquet").write_bytes((tmp_path / "s.parquet").read_bytes().replace(b"MMMM", b"MM\xffM"))
    with pytest.raises(ArtifactError, match="damaged"):
        read_table(tmp_path / "s.parquet", SCHEMAS["sequences"])
    actions = {"user": ["u"], "item": ["i"], "timestamp": [START]}
    pq.write_table(pa.table(actions).replace_schema_metadata({"a": "MMMM"}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes().replace(b"MMMM", b"MM\xffM"))
    assert pl.concat(tables.interactions(tmp_path / "a.parquet")).rows() == [("u", "i", START)]
    wide = pa.array([7]).cast(pa.decimal256(50))
    for column in (wide, wide.dictionary_encode(), pa.array([{"x": 1}])):
        with pytest.raises(ParseError, match="a type that a table cannot have"):
            ids(tmp_path, column)
    assert ids(tmp_path, pa.array([7]).cast(pa.decimal128(38))) == ids(tmp_path, pa.array([7], pa.uint64())) == ["7"]
    assert ids(tmp_path, pa.array(np.array([7], np.float16))) == ["7"]


def test_the_tag_against_machine_learning_is_obeyed():
    """rom1504/img2dataset#365: `noml` is a further way to exclude a file from machine learning."""
    assert opted_out(["noml"], "mmsrec") == "noml"
    assert opted_out(["other: noml"], "mmsrec") is None


@pytest.mark.parametrize("character", ["\u2028", "\u0085", "\x0b", "\x1c"])
def test_only_line_breaks_end_a_line(tmp_path, character):
    """huggingface/datasets#3729: Python's splitlines cuts a record at characters that a text may hold."""
    rules = robots.parse(f"User-agent: *\nDisallow: /a{character}Allow: /private\nDisallow: /private", "mmsrec")
    assert not rules.allow("/private")
    rows = "item_id,title\n" + "".join(f'{n},"one\nline{character}{n},x"\n' for n in range(1, 9))
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    assert pl.concat(tables.items(tmp_path / "a.csv", ["title"])).height == 8


def test_every_spelling_of_a_number_is_a_number(tmp_path):
    """treeverse/dvc#8466: `1e-5` in params.yaml is a text for readers of YAML 1.1."""
    text = PARAMS.read_text(encoding="utf-8")
    for spelling in ("1e-3", "1.0e-3", "1E-03", "0.1e-2"):
        assert "learning_rate: 0.001" in text
        text = text.replace("learning_rate: 0.001", f"learning_rate: {spelling}", 1)
    (tmp_path / "params.yaml").write_text(text)
    assert read_params(tmp_path / "params.yaml") == read_params(PARAMS)


@pytest.mark.parametrize("group", [1, 7, 64])
def test_the_ranks_do_not_depend_on_how_many_users_are_ranked_together(shop, group):
    """bytedance/HLLM#50: another batch size of the evaluation gave another recall."""
    data = dataset(shop)
    model = load(shop / "model", data)
    whole = rank_by_protocol(model, data.sequences, 1, ["all", "unseen"], top=3)
    parts = rank_by_protocol(model, data.sequences, 1, ["all", "unseen"], top=3, group=group)
    for protocol in whole:
        assert torch.equal(whole[protocol].rank_U, parts[protocol].rank_U)
        assert torch.equal(whole[protocol].top_UK, parts[protocol].top_UK)


def test_a_user_who_knows_every_item_is_ranked_and_left_out_of_recommendations(tmp_path):
    """RUCAIBox/RecBole#1028: no negative item is left for a user who acted on all items."""
    write_shop(tmp_path, actions=len(ITEMS))
    trainer = TRAINER.model_copy(update={"max_epochs": 1, "sampled_items": 4})
    data = dataset(tmp_path, features=False)
    train(EXPERIMENT, chosen("sasrec", BLOCKS, trainer), data, tmp_path / "model")
    settings = Evaluation(candidates=["unseen"], cutoffs=[1], top=2)
    model = load(tmp_path / "model", data)
    found = evaluate(model, data, settings, experiment=EXPERIMENT, ties="source", output=tmp_path)
    assert found["unseen"] == {"recall@1": 1.0, "ndcg@1": 1.0, "mrr": 1.0}
    with pytest.raises(DataError, match="No user gets a recommendation"):
        mmsrec.load(tmp_path / "model").recommend({"u": ITEMS}, top=3)


def test_a_model_of_equal_scores_is_as_good_as_chance():
    """elixir-nx/scholar#360: a model whose scores are all equal had the best NDCG."""
    users, items = 5, 100
    found = metrics(np.full(users, (items + 1) / 2), np.full(users, items), [10])
    assert found == pytest.approx(chance(np.full(users, items), [10]))
    assert found["recall@10"] == pytest.approx(0.1)


@pytest.mark.parametrize(("end", "rows"), [(b"", 2), (bytes(512), 2)])
def test_a_gzip_file_of_several_members_is_read_whole(tmp_path, end, rows):
    """madler/zlib#984: a reader stops after the first member. pauldmccarthy/indexed_gzip#69: padding is no member."""
    members = [gzip.compress(f"{{'asin': 'B{number}', 'title': 'T'}}\n".encode()) for number in range(2)]
    (tmp_path / "m.json.gz").write_bytes(b"".join(members) + end)
    assert pl.concat(amazon.items(tmp_path / "m.json.gz", ["title"])).height == rows
