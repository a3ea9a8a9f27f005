import json
import zipfile

import polars as pl
import pytest

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.errors import ArchiveError, ArtifactError, DataError, ParseError
from mmsrec.settings.corpora import CaptionSplit, ClipCorpus
from mmsrec.sources import captions
from mmsrec.sources.captions import ingest_clips

SENTENCES = [("v2", "a car"), ("v1", " two\n dogs "), ("v2", "a red car"), ("v3", "señor"), ("v2", "a car")]
ROWS = [("v2#0", "a car"), ("v1#0", "two dogs"), ("v2#1", "a red car"), ("v3#0", "señor"), ("v2#2", "a car")]


def msrvtt(pairs):
    """Captions in the format of MSR-VTT."""
    rows = [{"caption": caption, "video_id": item, "sen_id": number} for number, (item, caption) in enumerate(pairs)]
    return json.dumps({"info": {}, "videos": [{"video_id": "v9"}], "sentences": rows}).encode()


def jsfusion(pairs):
    """Captions in the format of the JSFusion split."""
    lines = [f"ret{number},msr{item},{item},{caption}" for number, (item, caption) in enumerate(pairs)]
    return "\n".join(["key,vid_key,video_id,sentence", *lines, ""]).encode()


@pytest.fixture
def ingest(tmp_path):
    """Ingests raw files by name and returns the tables of clips and captions."""

    def run(captions, split=None, **files):
        for name, body in files.items():
            path = tmp_path / "raw/set" / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        row = ClipCorpus(kind="clips", captions=f"set/{captions}", split=split, videos="set/v/{item_id}.mp4")
        ingest_clips(row, tmp_path / "raw", tmp_path / "out")
        return [
            pl.from_arrow(read_table(tmp_path / "out" / f"{name}.parquet", SCHEMAS["items"]))
            for name in ("items", "captions")
        ]

    return run


def test_each_clip_is_an_item_and_each_caption_has_an_id(ingest):
    items, captions = ingest("c.json", c__json=msrvtt(SENTENCES))
    assert items.rows() == [
        (0, "v2", None, "a car", "set/v/v2.mp4"),
        (1, "v1", None, "two dogs", "set/v/v1.mp4"),
        (2, "v3", None, "señor", "set/v/v3.mp4"),
    ]
    assert captions.select("item_id", "text").rows() == ROWS
    assert captions.get_column("item_index").to_list() == list(range(5))


def test_all_formats_give_equal_tables(ingest, tmp_path):
    parquet = tmp_path / "p.parquet"
    pl.DataFrame(SENTENCES, schema=["item_id", "caption"], orient="row").write_parquet(parquet)
    plain = "\n".join(["caption,item_id", *(f'"{caption}",{item}' for item, caption in SENTENCES)]).encode()
    files = {
        "c__csv": jsfusion([(item, caption.replace("\n", " ")) for item, caption in SENTENCES]),
        "plain__csv": plain,
        "p__parquet": parquet.read_bytes(),
    }
    for name in ("c.csv", "plain.csv", "p.parquet"):
        assert ingest(name, **files)[1].select("item_id", "text").rows() == ROWS


@pytest.mark.parametrize(
    ("split", "left"),
    [
        (CaptionSplit(exclude="set/test.csv"), ["v2", "v3"]),
        (CaptionSplit(include="set/test.csv"), ["v1"]),
        (CaptionSplit(include="set/ids.csv"), ["v2", "v1"]),
        (CaptionSplit(include="set/ids.csv", exclude="set/test.csv"), ["v2"]),
        (CaptionSplit(exclude="set/part.json"), ["v2", "v1"]),
    ],
)
def test_a_split_includes_or_excludes_listed_clips(ingest, split, left):
    files = {
        "c__json": msrvtt(SENTENCES),
        "test__csv": jsfusion([("v1", "x"), ("v7", "y")]),
        "ids__csv": b"video_id\nv2\nv1\n",
        "part__json": msrvtt([("v3", "other words")]),
    }
    items, captions = ingest("c.json", split, **files)
    assert items.get_column("item_id").to_list() == left
    assert captions.get_column("text").to_list() == [text for name, text in ROWS if name[:2] in left]


def test_a_split_without_clips_is_an_error(ingest):
    with pytest.raises(DataError, match="no clips"):
        ingest("c.json", CaptionSplit(exclude="set/c.json"), c__json=msrvtt(SENTENCES))


def test_captions_may_be_in_an_archive(ingest, tmp_path):
    path = tmp_path / "raw/set/data.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/c.json", msrvtt(SENTENCES))
        archive.writestr("d/test.csv", jsfusion([("v1", "x")]))
    items, _ = ingest("data.zip/d/c.json", CaptionSplit(exclude="set/data.zip/d/test.csv"))
    assert items.get_column("item_id").to_list() == ["v2", "v3"]
    with pytest.raises(ArchiveError, match="lacks a member"):
        ingest("data.zip/d/none.json")


def test_one_malformed_row_is_dropped_and_many_are_an_error(ingest):
    good = [(f"v{number}", "words") for number in range(200)]
    odd = [("", "words"), ("v9", None)]
    items, _ = ingest("c.json", c__json=msrvtt(good + odd))
    assert items.height == 200
    with pytest.raises(ParseError, match="malformed"):
        ingest("c.json", c__json=msrvtt(good + odd + [(7, "words")]))


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("c.json", b"", "format of MSR-VTT"),
        ("c.json", b"\xff\xfe{}", "format of MSR-VTT"),
        ("c.json", b"[]", "format of MSR-VTT"),
        ("c.json", b'{"sentences": 3}', "format of MSR-VTT"),
        ("c.json", b'{"sentences": [3]}', "format of MSR-VTT"),
        ("c.json", b"[" * 100_000, "format of MSR-VTT"),
        ("c.json", msrvtt(SENTENCES)[:-30], "format of MSR-VTT"),
        ("c.json", msrvtt([]), "no rows"),
        ("c.csv", b"video_id,other\nv1,x\n", "lacks a column"),
        ("c.csv", b"", "lacks a column"),
        ("c.csv", b"video_id,caption\n", "no rows"),
        ("c.csv", b"video_id,caption\nv1,\xff\xfe\n", "cannot be read"),
        ("c.parquet", b"PAR1", "cannot be read"),
        ("c.pkl", b"\x80\x04.", "unknown format"),
    ],
)
def test_a_file_of_a_wrong_format_is_named(ingest, name, body, reason):
    with pytest.raises(ParseError, match=reason) as caught:
        ingest(name, **{name.replace(".", "__"): body})
    assert name in str(caught.value)


def test_a_missing_file_and_a_large_file_are_errors(ingest, monkeypatch):
    with pytest.raises(ArtifactError, match="missing"):
        ingest("c.json")
    monkeypatch.setattr(captions, "MAX_TABLE_BYTES", 100)
    with pytest.raises(ParseError, match="too large"):
        ingest("c.json", c__json=msrvtt(SENTENCES))


def test_the_real_captions_are_ingested(real_data, tmp_path):
    def ingested(name, **row):
        row = ClipCorpus(kind="clips", videos="msrvtt/videos/{item_id}.mp4", **row)
        ingest_clips(row, real_data, tmp_path / name)
        return pl.from_arrow(read_table(tmp_path / name / "items.parquet", SCHEMAS["items"]))

    test = ingested("test", captions="msrvtt/MSRVTT_JSFUSION_test.csv")
    split = CaptionSplit(exclude="msrvtt/MSRVTT_JSFUSION_test.csv")
    train = ingested("train", captions="msrvtt/MSRVTT_data.json", split=split)
    assert (train.height, test.height) == (9000, 1000)
    assert not set(train.get_column("item_id")) & set(test.get_column("item_id"))
    for items, there in ((train, 4351), (test, 476)):
        assert sum((real_data / url).exists() for url in items.get_column("media_url")) == there
