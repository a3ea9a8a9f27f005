import hashlib
import json
import multiprocessing
import random
import time
from dataclasses import replace

import pytest

from mmsrec.errors import ChecksumError, DownloadError
from mmsrec.sources.download import fetch, record_path
from mmsrec.sources.file_registry import SourceFile
from mmsrec.sources.pins import LockFile
from mmsrec.sources.transfer import Limits
from tests.servers import Reply

BODY = random.Random(3).randbytes(100_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
QUICK = Limits(attempts=2, backoff_seconds=0.01)
FILE = SourceFile("shop/ratings.csv")


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "raw" / "shop" / "ratings.csv"


@pytest.fixture
def mirror(tmp_path):
    path = tmp_path / "mirror" / FILE.path
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    path.chmod(0o444)
    return str(tmp_path / "mirror")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_with_its_record(serve, destination):
    server = serve({"/a": Reply(BODY)})
    record = fetch(replace(FILE, urls=(server.url("/a"),)), destination, limits=QUICK)
    assert destination.read_bytes() == BODY
    assert names(destination.parent) == ["ratings.csv", "ratings.csv.json"]
    assert (record.url, record.sha256, record.bytes) == (server.url("/a"), DIGEST, len(BODY))
    assert json.loads(record_path(destination).read_text())["sha256"] == DIGEST


def test_a_folder_mirror_comes_first_and_its_path_is_not_recorded(serve, destination, mirror):
    server = serve({"/a": Reply(b"other")})
    record = fetch(replace(FILE, urls=(server.url("/a"),)), destination, [mirror], QUICK)
    assert destination.read_bytes() == BODY
    assert record.url == "mirror:shop/ratings.csv"
    assert not server.requests


def test_a_web_mirror_comes_first(serve, destination):
    server = serve({"/base/shop/ratings.csv": Reply(BODY)})
    assert fetch(FILE, destination, [server.url("/base/")], QUICK).url == "mirror:shop/ratings.csv"
    assert destination.read_bytes() == BODY


def test_mirrors_and_urls_are_tried_in_order(serve, destination, tmp_path):
    server = serve({"/gone": Reply(status=404), "/busy": Reply(status=503), "/a": Reply(BODY), "/b": Reply(b"unused")})
    urls = tuple(server.url(path) for path in ("/gone", "/busy", "/a", "/b"))
    record = fetch(replace(FILE, urls=urls), destination, [str(tmp_path / "no-mirror")], QUICK)
    assert record.url == server.url("/a")
    assert [request.path for request in server.requests] == ["/gone", "/busy", "/busy", "/a"]


def test_the_error_names_every_mirror_and_url_with_its_reason(serve, destination, tmp_path):
    server = serve({})
    file = replace(FILE, urls=(server.url("/a"), server.url("/b")), sha256=DIGEST, bytes=100)
    with pytest.raises(DownloadError) as caught:
        fetch(file, destination, [str(tmp_path / "no-mirror")], QUICK)
    message = str(caught.value)
    for part in (
        f"{tmp_path}/no-mirror/shop/ratings.csv: no such file",
        f"{server.url('/a')}: HTTP 404",
        f"{server.url('/b')}: HTTP 404",
        DIGEST,
        "MMSREC_MIRROR",
        "workflow/sources.csv",
        str(destination),
    ):
        assert part in message
    assert not destination.exists()


def test_a_file_without_mirror_and_url_is_an_error(destination):
    with pytest.raises(DownloadError, match="no mirror is set and the registry has no URL"):
        fetch(FILE, destination)


def test_a_wrong_digest_is_an_error_and_leaves_no_file(serve, destination):
    server = serve({"/a": Reply(b"x" * 10)})
    with pytest.raises(ChecksumError) as caught:
        fetch(replace(FILE, urls=(server.url("/a"),), sha256=DIGEST), destination, limits=QUICK)
    assert DIGEST in str(caught.value)
    assert hashlib.sha256(b"x" * 10).hexdigest() in str(caught.value)
    assert names(destination.parent) == []


def test_after_a_wrong_file_the_next_url_is_tried(serve, destination, mirror):
    server = serve({"/short": Reply(BODY[:-1]), "/right": Reply(BODY + b"!")})
    urls = (server.url("/short"), server.url("/right"))
    right = hashlib.sha256(BODY + b"!").hexdigest()
    assert fetch(replace(FILE, urls=urls, sha256=right), destination, [mirror], QUICK).url == urls[1]
    assert destination.read_bytes() == BODY + b"!"


def test_a_file_of_a_wrong_size_is_refused(serve, destination):
    server = serve({"/a": Reply(BODY)})
    for size, error in ((len(BODY) - 1, DownloadError), (len(BODY) + 1, ChecksumError)):
        with pytest.raises(error):
            fetch(replace(FILE, urls=(server.url("/a"),), bytes=size), destination, limits=QUICK)
    assert names(destination.parent) == []


def test_a_finished_file_is_not_downloaded_again(serve, destination):
    server = serve({"/a": Reply(BODY)})
    file = replace(FILE, urls=(server.url("/a"),))
    assert fetch(file, destination, limits=QUICK) == fetch(file, destination, limits=QUICK)
    assert len(server.requests) == 1


def test_the_state_of_a_download_that_was_killed_at_its_end_is_removed(serve, destination):
    file = replace(FILE, urls=(serve({"/a": Reply(BODY)}).url("/a"),))
    fetch(file, destination, limits=QUICK)
    destination.with_name(".ratings.csv.part.json").write_text("{}")
    fetch(file, destination, limits=QUICK)
    assert names(destination.parent) == ["ratings.csv", "ratings.csv.json"]


def test_a_damaged_file_is_downloaded_again(serve, destination):
    server = serve({"/a": Reply(BODY)})
    file = replace(FILE, urls=(server.url("/a"),))
    fetch(file, destination, limits=QUICK)
    destination.write_bytes(BODY[:50])
    fetch(file, destination, limits=QUICK)
    assert destination.read_bytes() == BODY
    assert destination.with_name("ratings.csv.before").read_bytes() == BODY[:50], "it may be the user's only copy"


def test_a_file_that_its_user_changes_is_never_replaced(serve, destination, tmp_path):
    server = serve({"/a": Reply(BODY)})
    file, pins = replace(FILE, urls=(server.url("/a"),)), LockFile(tmp_path / "lock.csv")
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"first")
    assert fetch(file, destination, limits=QUICK, pins=pins).url is None
    destination.write_bytes(b"second")
    with pytest.raises(ChecksumError, match="put the right one in its place"):
        fetch(file, destination, limits=QUICK, pins=pins)
    assert fetch(file, destination, limits=QUICK, pins=replace(pins, accepts=True)).url is None
    assert destination.read_bytes() == b"second"
    assert not server.requests


def test_a_file_that_the_user_put_there_is_accepted(destination):
    destination.parent.mkdir(parents=True)
    destination.write_bytes(BODY)
    assert fetch(replace(FILE, sha256=DIGEST), destination).url is None
    assert fetch(FILE, destination).sha256 == DIGEST


def test_a_wrong_file_that_the_user_put_there_is_refused_and_kept(destination):
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"other")
    with pytest.raises(ChecksumError, match="Put the right file in its place"):
        fetch(replace(FILE, sha256=DIGEST), destination)
    assert destination.read_bytes() == b"other"


def _fetch_in_process(url, destination):
    fetch(replace(FILE, urls=(url,)), destination, limits=QUICK)


def _start(url, destination):
    process = multiprocessing.get_context("spawn").Process(target=_fetch_in_process, args=(url, destination))
    process.start()
    return process


def test_two_processes_download_once(serve, destination):
    server = serve({"/a": Reply(BODY, chunk=10_000, pause=0.1)})
    processes = [_start(server.url("/a"), destination) for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(server.requests) == 1
    assert destination.read_bytes() == BODY


def test_a_killed_download_resumes(serve, destination):
    tagged = {"ETag": '"one"'}
    server = serve({"/a": [Reply(BODY, chunk=40_000, pause=30, headers=tagged), Reply(BODY, headers=tagged)]})
    process = _start(server.url("/a"), destination)
    part = destination.with_name(".ratings.csv.part")
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not destination.exists()
    fetch(replace(FILE, urls=(server.url("/a"),)), destination, limits=QUICK)
    assert destination.read_bytes() == BODY
    first = int(server.requests[1].headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < first <= 40_000
