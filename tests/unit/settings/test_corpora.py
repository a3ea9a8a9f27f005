import pytest
from pydantic import TypeAdapter, ValidationError

from mmsrec.settings.corpora import ClipCorpus, Corpus, DomainCorpus, ShardCorpus, split_archive

SHARDS = {"kind": "shards", "repository": "a/b", "files": "data/*.tar", "frames": "first", "count": 10, "keep": "mean"}
ITEMS = {"kind": "domain", "domain": "shop"}
CLIPS = {"kind": "clips", "captions": "set/captions.json", "videos": "set/v/{item_id}.mp4"}


def read(row):
    return TypeAdapter(Corpus).validate_python(row)


def test_a_row_is_of_its_kind():
    assert isinstance(read(SHARDS), ShardCorpus)
    assert isinstance(read(CLIPS), ClipCorpus)
    assert isinstance(read(ITEMS), DomainCorpus)
    assert read(SHARDS).revision == "main"


@pytest.mark.parametrize(
    ("row", "change"),
    [
        (SHARDS, {"repository": "b"}),
        (SHARDS, {"repository": "a/../b"}),
        (SHARDS, {"files": "../*.tar"}),
        (SHARDS, {"files": "/data/*.tar"}),
        (SHARDS, {"files": "data/[0-9].tar"}),
        (SHARDS, {"count": 0}),
        (SHARDS, {"keep": "max"}),
        (SHARDS, {"videos": "x/{item_id}"}),
        (CLIPS, {"captions": "captions.json"}),
        (CLIPS, {"captions": "../x/captions.json"}),
        (CLIPS, {"videos": "set/v.mp4"}),
        (CLIPS, {"split": {}}),
        (CLIPS, {"kind": "films"}),
        (ITEMS, {"domain": "no/name"}),
        (ITEMS, {"videos": "set/v/{item_id}.mp4"}),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row, change):
    with pytest.raises(ValidationError):
        read(row | change)


def test_the_files_of_the_registry_that_a_corpus_is_made_of():
    assert read(SHARDS).raw_files == read(ITEMS).raw_files == []
    assert read(CLIPS).raw_files == ["set/captions.json"]
    assert read(CLIPS | {"videos": "https://v.example/a.zip/{item_id}"}).raw_files == ["set/captions.json"]
    inside = {"captions": "set/d.zip/c.json", "split": {"exclude": "set/d.zip/t.csv", "include": "set/i.csv"}}
    archived = read(CLIPS | inside | {"videos": "set/v.zip/all/{item_id}.mp4"})
    assert archived.raw_files == ["set/d.zip", "set/i.csv", "set/v.zip"]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("set/c.json", ("set/c.json", None)),
        ("set/v.zip", ("set/v.zip", None)),
        ("set/v.zip/a/b.mp4", ("set/v.zip", "a/b.mp4")),
        ("set/v.zipped/b.mp4", ("set/v.zipped/b.mp4", None)),
        ("https://v.example/v.zip/b.mp4", ("https://v.example/v.zip/b.mp4", None)),
    ],
)
def test_a_path_may_lead_through_an_archive(path, parts):
    assert split_archive(path) == parts
