import gzip
import json
import random
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from mmsrec.errors import ArtifactError, ChecksumError, DownloadError
from mmsrec.progress import progress
from mmsrec.sources import hub as hub_module
from mmsrec.sources.hub import PARTIAL, PENDING, download_shards
from mmsrec.sources.hub_progress import Meter, Stopped, Total
from mmsrec.sources.listing import LISTING, Selection, Shard, read_listing
from tests.servers import Reply
from tests.unit.sources.hubs import COMMIT, REPOSITORY, hub, resolve, stored, tree

SELECTION = Selection(REPOSITORY, "main", "data/train/*.tar")
FOLDER = "data/train"
FILES = {f"{FOLDER}/{number:05d}.tar": np.random.default_rng(number).bytes(3000 + number) for number in range(5)}
OTHERS = {f"{FOLDER}/readme.txt": b"no shard", f"{FOLDER}/deeper/9.tar": b"deeper", "data/val/0.tar": b"elsewhere"}
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Removes the pauses between tries and the user's own cache."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def served(serve):
    """Serves the files. `answers` replaces the answers of its paths."""

    def start(answers=None, files=FILES | OTHERS, **options):
        server = serve({})
        routes = hub(files, FOLDER, server.base, **options) | (answers or {})
        server.routes |= {path: replies if isinstance(replies, list) else [replies] for path, replies in routes.items()}
        return server

    return start


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shards_below(folder):
    return {name: body for name, body in files_below(folder).items() if name.endswith(".tar")}


@pytest.mark.parametrize("lfs", [True, False])
def test_the_shards_of_a_pinned_commit_are_listed_and_downloaded(served, tmp_path, lfs):
    server = served(lfs=lfs)
    listing = download_shards(SELECTION, tmp_path / "webvid", endpoint=server.base)

    assert set(files_below(tmp_path / "webvid")) == {*FILES, LISTING}
    assert shards_below(tmp_path / "webvid") == FILES
    assert listing == read_listing(tmp_path / "webvid" / LISTING)
    assert (listing.selection, listing.commit) == (SELECTION, COMMIT)
    facts = [(shard.path, shard.bytes, shard.sha256) for shard in listing.shards]
    assert facts == [(name, len(body), sha256(body).hexdigest()) for name, body in sorted(FILES.items())]
    assert all(request.status == 200 for request in server.asked(tree(FOLDER)))
    assert not server.asked(resolve(f"{FOLDER}/readme.txt"))


def test_finished_files_are_not_requested_again(served, tmp_path):
    server = served()
    download_shards(SELECTION, tmp_path, endpoint=server.base)
    asked = len(server.requests)
    download_shards(SELECTION, tmp_path, endpoint=server.base)
    assert len(server.requests) == asked

    (tmp_path / f"{FOLDER}/00003.tar").unlink()
    download_shards(SELECTION, tmp_path, endpoint=server.base)
    assert {request.path for request in server.requests[asked:]} == {
        resolve(f"{FOLDER}/00003.tar"),
        stored(f"{FOLDER}/00003.tar"),
    }
    assert shards_below(tmp_path) == FILES


def test_a_download_resumes_at_its_first_commit(served, tmp_path):
    broken = served({stored(f"{FOLDER}/00002.tar"): Reply(status=404)})
    with pytest.raises(DownloadError, match="cannot serve") as caught:
        download_shards(SELECTION, tmp_path, endpoint=broken.base, connections=1)
    assert f"{FOLDER}/00002.tar" in str(caught.value)
    assert not (tmp_path / LISTING).exists()
    assert read_listing(tmp_path / PENDING).commit == COMMIT
    assert set(shards_below(tmp_path)) >= {f"{FOLDER}/00000.tar", f"{FOLDER}/00001.tar"}
    assert f"{FOLDER}/00002.tar" not in files_below(tmp_path)

    moved = Reply(json.dumps({"id": REPOSITORY, "sha": "f" * 40}).encode())
    mended = served({f"/api/datasets/{REPOSITORY}/revision/main": moved})
    download_shards(SELECTION, tmp_path, endpoint=mended.base)
    assert shards_below(tmp_path) == FILES
    assert read_listing(tmp_path / LISTING).commit == COMMIT
    assert not mended.asked(resolve(f"{FOLDER}/00000.tar"))


def test_another_selection_is_listed_again(served, tmp_path):
    server = served()
    download_shards(
        replace(SELECTION, files=f"{FOLDER}/0000[01].tar".replace("[01]", "?")), tmp_path, endpoint=server.base
    )
    (tmp_path / f"{FOLDER}/00000.tar").write_bytes(bytes(3000))
    asked = len(server.requests)
    listing = download_shards(replace(SELECTION, files=f"{FOLDER}/*0.tar"), tmp_path, endpoint=server.base)

    assert [shard.path for shard in listing.shards] == [f"{FOLDER}/00000.tar"]
    assert server.requests[asked].path.endswith("/revision/main")
    assert (tmp_path / f"{FOLDER}/00000.tar").read_bytes() == FILES[f"{FOLDER}/00000.tar"]


def test_a_broken_download_resumes_at_its_last_chunk(served, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 500)
    name = f"{FOLDER}/00001.tar"
    body = FILES[name]
    server = served({stored(name): [Reply(body, drop_after=1000), Reply(body)]})
    download_shards(SELECTION, tmp_path, endpoint=server.base)

    assert shards_below(tmp_path) == FILES
    headers = [{key.lower(): value for key, value in asked.headers.items()} for asked in server.asked(stored(name))]
    assert [header.get("range") for header in headers] == [None, "bytes=1000-"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(FILES[f"{FOLDER}/00001.tar"][:-1] + b"?"), ChecksumError),
        (Reply(FILES[f"{FOLDER}/00001.tar"][:-7]), DownloadError),
        (Reply(FILES[f"{FOLDER}/00001.tar"] * 9000), ChecksumError),
        (Reply(status=403), DownloadError),
        (Reply(status=500), DownloadError),
    ],
    ids=["another file", "short", "endless", "403", "500"],
)
def test_a_file_that_differs_from_the_listing_is_not_kept(served, tmp_path, reply, error):
    name = f"{FOLDER}/00001.tar"
    server = served({stored(name): reply})
    with pytest.raises(error, match=r"hub") as caught:
        download_shards(SELECTION, tmp_path, endpoint=server.base)

    assert name in str(caught.value)
    assert name not in files_below(tmp_path)
    assert not (tmp_path / LISTING).exists()
    assert sum(path.stat().st_size for path in (tmp_path / PARTIAL).rglob("*.tar")) == 0


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({f"/api/datasets/{REPOSITORY}/revision/main": Reply(status=404)}, "404"),
        ({f"/api/datasets/{REPOSITORY}/revision/main": Reply(status=401)}, "401"),
        ({tree(FOLDER): Reply(status=404)}, "404"),
        ({f"{tree(FOLDER)}&cursor=1": Reply(status=404)}, "404"),
        ({tree(FOLDER): Reply(b"<html>")}, "Expecting value"),
        ({tree(FOLDER): Reply(b'[{"type": "file"}]')}, "path"),
        ({tree(FOLDER): Reply(b"[" * 60_000)}, "recursion"),
        ({tree(FOLDER): Reply(bytes(2**16 + 1))}, "more than 65,536 bytes"),
        (
            {tree(FOLDER): Reply(gzip.compress(random.Random(0).randbytes(2**12)), headers=GZIP)},
            "more than 4,096 bytes",
        ),
        ({tree(FOLDER): Reply(b"", headers={"Content-Encoding": "gzip, gzip"})}, "several encodings"),
        ({tree(FOLDER): Reply(bytes(2**16 + 1), status=307, headers={"Location": "/x"})}, "more than 65,536 bytes"),
        ({tree(FOLDER): Reply(status=307, headers={"Location": "http://[::1"})}, "Invalid"),
    ],
)
def test_a_hub_that_cannot_list_the_files_is_named(served, tmp_path, monkeypatch, answers, found):
    monkeypatch.setattr(hub_module, "MAX_ANSWER_BYTES", 2**16)
    monkeypatch.setattr(hub_module, "MAX_ENCODED_BYTES", 2**12)
    server = served(answers)
    with pytest.raises(DownloadError, match="cannot serve") as caught:
        download_shards(SELECTION, tmp_path, endpoint=server.base)
    assert server.base in str(caught.value)
    assert found in str(caught.value)
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("name", ["..", ".hidden", "a b", "a\\b", "a\x00b"])
def test_an_unsafe_name_stops_the_download(served, tmp_path, name):
    server = served(files={f"{FOLDER}/{name}.tar": b"x"})
    with pytest.raises(DownloadError, match="no safe name"):
        download_shards(SELECTION, tmp_path, endpoint=server.base)
    assert files_below(tmp_path) == {}


def test_no_match_and_too_many_bytes_are_errors(served, tmp_path):
    server = served()
    with pytest.raises(DownloadError, match="No file"):
        download_shards(replace(SELECTION, files=f"{FOLDER}/*.zip"), tmp_path, endpoint=server.base)
    with pytest.raises(DownloadError, match="too many or too large"):
        download_shards(SELECTION, tmp_path, endpoint=server.base, max_bytes=10_000)


def test_an_endpoint_with_credentials_is_named_without_them(served, tmp_path):
    server = served({tree(FOLDER): Reply(status=404)})
    with pytest.raises(DownloadError) as caught:
        download_shards(SELECTION, tmp_path, endpoint=server.base.replace("//", "//me:secret@"))
    assert "secret" not in str(caught.value)
    assert server.base in str(caught.value)


def test_a_silent_hub_is_an_error(served, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_module, "WAIT_SECONDS", 0.1)
    server = served({tree(FOLDER): Reply(delay=0.6)})
    with pytest.raises(DownloadError, match="cannot serve"):
        download_shards(SELECTION, tmp_path, endpoint=server.base)


def mirror(root, files):
    for name, body in files.items():
        path = root / "hub" / REPOSITORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return root


def test_a_mirror_replaces_the_hub(tmp_path):
    root = mirror(tmp_path / "mirror", FILES | OTHERS)
    listing = download_shards(SELECTION, tmp_path / "out", [tmp_path / "empty", root], endpoint="http://127.0.0.1:1")

    assert shards_below(tmp_path / "out") == FILES
    assert listing.commit is None
    assert [shard.sha256 for shard in listing.shards] == [sha256(body).hexdigest() for body in FILES.values()]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.tar")}
    download_shards(SELECTION, tmp_path / "out", [root])
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.tar")} == before


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"selection": {"repository": "a/b", "files": "*"}, "commit": null, "shards": []}',
    ],
)
def test_an_invalid_listing_is_an_error(tmp_path, text):
    (tmp_path / LISTING).write_text(text)
    with pytest.raises(ArtifactError, match="not valid"):
        read_listing(tmp_path / LISTING)


def test_a_listing_with_an_unsafe_path_is_an_error(tmp_path):
    shard = {"path": "../../x.tar", "bytes": 1, "sha256": None}
    selection = {"repository": "a/b", "revision": "main", "files": "*"}
    (tmp_path / LISTING).write_text(json.dumps({"selection": selection, "commit": None, "shards": [shard]}))
    with pytest.raises(DownloadError, match="no safe name"):
        read_listing(tmp_path / LISTING)


def test_a_file_under_way_ends_with_the_download():
    bar = Total(progress("download", 20))
    meter = Meter(bar, Shard("a.tar", 20, None))
    meter.update(10)
    bar.stopped = True
    with pytest.raises(Stopped):
        meter.update(10)
