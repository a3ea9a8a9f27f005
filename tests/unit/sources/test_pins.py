import hashlib
import multiprocessing
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mmsrec.errors import ChecksumError, DownloadError, RegistryError
from mmsrec.sources import download
from mmsrec.sources.download import fetch, record_path
from mmsrec.sources.file_registry import SourceFile
from mmsrec.sources.pins import LockFile, Pin, check_files
from mmsrec.sources.transfer import Limits
from tests.servers import Reply

ROOT = Path(__file__).parents[3]
QUICK = Limits(attempts=2, backoff_seconds=0.01)
HEADER = "file,url,sha256,bytes\n"
FIRST, SECOND = b"first " * 1000, b"second " * 1000


def digest(body):
    return hashlib.sha256(body).hexdigest()


def row(file, url, body):
    return f"{file},{url},{digest(body)},{len(body)}\n"


@pytest.fixture
def pins(tmp_path):
    return LockFile(tmp_path / "sources.lock.csv")


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def get(file, raw, pins, *mirrors):
    return fetch(file, raw / file.path, mirrors, QUICK, pins)


def test_the_first_download_pins_and_an_equal_one_changes_nothing(serve, raw, pins, tmp_path):
    server = serve({"/a": Reply(FIRST)})
    file = SourceFile("shop/a.csv", (server.url("/a"),))
    get(file, raw, pins)
    expected = HEADER + row("shop/a.csv", server.url("/a"), FIRST)
    assert pins.path.read_text() == expected
    before = pins.path.stat()
    get(file, raw, pins)
    get(file, tmp_path / "other", pins)
    assert pins.path.stat().st_mtime_ns == before.st_mtime_ns
    assert pins.path.read_text() == expected
    assert len(server.requests) == 2


def test_the_table_has_one_line_for_each_file_in_order(pins):
    for name in ("shop/b.csv", "films/z.zip", "shop/a.csv"):
        pins.pin(Pin(name, "", digest(FIRST), 6000))
    lines = pins.path.read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["file", "films/z.zip", "shop/a.csv", "shop/b.csv"]
    assert os.listdir(pins.path.parent) == [pins.path.name]


def test_changed_content_is_refused_and_nothing_is_lost(serve, raw, pins):
    server = serve({"/a": [Reply(FIRST), Reply(SECOND)]})
    file = SourceFile("shop/a.csv", (server.url("/a"),), note="2014 release")
    get(file, raw, pins)
    pinned = pins.path.read_text()
    (raw / "shop/a.csv").unlink()
    with pytest.raises(ChecksumError) as caught:
        get(file, raw, pins)
    for part in (
        "where: shop/a.csv (2014 release)",
        f"expected: sha256 {digest(FIRST)}, 6,000 bytes, pinned from {server.url('/a')}",
        f"found sha256 {digest(SECOND)}, 7,000 bytes",
        "python workflow/scripts/download.py --accept shop/a.csv",
    ):
        assert part in str(caught.value)
    assert pins.path.read_text() == pinned
    assert not (raw / "shop/a.csv").exists()


def test_a_damaged_file_stays_when_its_url_now_serves_another_one(serve, raw, pins):
    server = serve({"/a": [Reply(FIRST), Reply(SECOND)]})
    file = SourceFile("shop/a.csv", (server.url("/a"),))
    get(file, raw, pins)
    (raw / "shop/a.csv").write_bytes(FIRST[:-1])
    with pytest.raises(ChecksumError, match="pinned from"):
        get(file, raw, pins)
    assert (raw / "shop/a.csv").read_bytes() == FIRST[:-1]


def test_the_place_that_serves_the_pinned_file_is_found(serve, raw, pins, tmp_path):
    server = serve({"/new": Reply(SECOND), "/old": Reply(FIRST)})
    pins.pin(Pin("shop/a.csv", "https://one.example/a", digest(FIRST), len(FIRST)))
    file = SourceFile("shop/a.csv", (server.url("/new"), server.url("/old")))
    (tmp_path / "mirror/shop").mkdir(parents=True)
    (tmp_path / "mirror/shop/a.csv").write_bytes(b"a copy with other bytes")
    assert get(file, raw, pins, str(tmp_path / "mirror")).url == server.url("/old")
    assert "https://one.example/a" in pins.path.read_text()


def test_a_mirror_pins_as_any_other_place(serve, raw, pins, tmp_path):
    (tmp_path / "mirror/shop").mkdir(parents=True)
    (tmp_path / "mirror/shop/a.csv").write_bytes(FIRST)
    server = serve({"/a": Reply(SECOND)})
    file = SourceFile("shop/a.csv", (server.url("/a"),))
    get(file, raw, pins, str(tmp_path / "mirror"))
    assert pins.path.read_text() == HEADER + row("shop/a.csv", "mirror:shop/a.csv", FIRST)
    with pytest.raises(ChecksumError, match=r"pinned from mirror:shop/a\.csv"):
        get(file, tmp_path / "elsewhere", pins)


def test_a_file_that_the_user_put_there_is_pinned_and_compared(raw, pins, tmp_path):
    file = SourceFile("shop/a.csv")
    for folder, body in ((raw, FIRST), (tmp_path / "other", SECOND)):
        (folder / "shop").mkdir(parents=True)
        (folder / "shop/a.csv").write_bytes(body)
    get(file, raw, pins)
    assert pins.path.read_text() == HEADER + row("shop/a.csv", "", FIRST)
    with pytest.raises(ChecksumError, match="pinned from a file that was already there"):
        get(file, tmp_path / "other", pins)
    assert (tmp_path / "other/shop/a.csv").read_bytes() == SECOND


def test_a_change_is_accepted_by_name(serve, raw, pins):
    server = serve({"/a": [Reply(FIRST), Reply(SECOND)], "/b": Reply(FIRST)})
    file, other = SourceFile("shop/a.csv", (server.url("/a"),)), SourceFile("shop/b.csv", (server.url("/b"),))
    get(file, raw, pins)
    get(other, raw, pins)
    (raw / "shop/a.csv").unlink()
    get(file, raw, replace(pins, accepts=True))
    assert (raw / "shop/a.csv").read_bytes() == SECOND
    kept = row("shop/b.csv", server.url("/b"), FIRST)
    assert pins.path.read_text() == HEADER + row("shop/a.csv", server.url("/a"), SECOND) + kept
    get(file, raw, pins)


def test_the_file_that_is_there_is_accepted_without_a_download(serve, raw, pins):
    server = serve({"/a": Reply(FIRST)})
    file = SourceFile("shop/a.csv", (server.url("/a"),))
    get(file, raw, pins)
    (raw / "shop/a.csv").write_bytes(SECOND)
    assert get(file, raw, replace(pins, accepts=True)).url is None
    assert (raw / "shop/a.csv").read_bytes() == SECOND
    assert pins.path.read_text() == HEADER + row("shop/a.csv", "", SECOND)
    assert digest(SECOND) in record_path(raw / "shop/a.csv").read_text()
    assert len(server.requests) == 1


def test_the_registry_s_digest_is_not_overridden(serve, raw, pins):
    server = serve({"/a": Reply(SECOND)})
    file = SourceFile("shop/a.csv", (server.url("/a"),), sha256=digest(FIRST))
    with pytest.raises(ChecksumError, match=r"workflow/sources\.csv"):
        get(file, raw, replace(pins, accepts=True))
    assert not pins.path.exists()


def test_a_file_that_varies_is_not_pinned(serve, raw, pins, tmp_path):
    server = serve({"/a": [Reply(FIRST), Reply(SECOND)]})
    file = SourceFile("demo/a.csv", (server.url("/a"),), varies=True)
    get(file, raw, pins)
    get(file, tmp_path / "other", pins)
    assert not pins.path.exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1"),
        ("file,sha256\n", "line 1"),
        (HEADER + "shop/a.csv,,abc,12\n", "line 2"),
        (HEADER + f"shop/a.csv,,{'0' * 64},many\n", "line 2"),
        (HEADER + f"../a.csv,,{'0' * 64},12\n", "line 2"),
        (HEADER + f"shop/a.csv,,{'0' * 64}\n", "line 2"),
        (HEADER + f"shop/a.csv,,{'0' * 64},1\nshop/a.csv,,{'1' * 64},1\n", "line 3"),
        (HEADER + f"<<<<<<< HEAD\nshop/a.csv,,{'0' * 64},1\n", "line 2"),
        (HEADER + 'shop/a.csv,"never closed\n', ".lock.csv"),
        (b"\xff\xfe", ".lock.csv"),
    ],
)
def test_a_damaged_lock_file_is_named_before_anything_is_downloaded(serve, raw, pins, text, where):
    server = serve({"/a": Reply(FIRST)})
    content = text if isinstance(text, bytes) else text.encode()
    pins.path.write_bytes(content)
    with pytest.raises(RegistryError, match="lock file is damaged") as caught:
        get(SourceFile("shop/a.csv", (server.url("/a"),)), raw, pins)
    assert where in str(caught.value)
    assert "version control" in str(caught.value)
    assert pins.path.read_bytes() == content
    assert not server.requests


def test_a_lock_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RegistryError, match="cannot be written"):
        LockFile(tmp_path / "file" / "sources.lock.csv").pin(Pin("shop/a.csv", "", digest(FIRST), 1))


def _pin_many(path, first):
    for number in range(first, 60, 3):
        LockFile(path).pin(Pin(f"shop/{number:02}.csv", "", digest(FIRST), number))


def _in_process(target, *arguments):
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    return process


def test_processes_that_pin_at_once_lose_no_row(pins):
    processes = [_in_process(_pin_many, pins.path, first) for first in range(3)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [pin.bytes for pin in pins.read().values()] == list(range(60))


def _fetch(url, raw, path):
    fetch(SourceFile("shop/a.csv", (url,)), raw / "shop/a.csv", limits=QUICK, pins=LockFile(path))


def test_of_two_first_downloads_with_other_contents_one_pins(serve, tmp_path, pins):
    server = serve({"/a": [Reply(FIRST, delay=0.2), Reply(SECOND, delay=0.2)]})
    folders = [tmp_path / "one", tmp_path / "two"]
    processes = [_in_process(_fetch, server.url("/a"), folder, pins.path) for folder in folders]
    for process in processes:
        process.join(60)
    assert sorted(process.exitcode for process in processes) == [0, 1]
    kept = [folder / "shop/a.csv" for folder in folders if (folder / "shop/a.csv").exists()]
    assert len(kept) == 1
    assert pins.read()["shop/a.csv"].sha256 == digest(kept[0].read_bytes())


def test_a_download_that_is_killed_leaves_no_pin_and_then_resumes(serve, raw, pins):
    tagged, body = {"ETag": '"one"'}, FIRST * 20
    server = serve({"/a": [Reply(body, chunk=40_000, pause=30, headers=tagged), Reply(body, headers=tagged)]})
    process = _in_process(_fetch, server.url("/a"), raw, pins.path)
    part = raw / "shop/.a.csv.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not pins.path.exists()
    _fetch(server.url("/a"), raw, pins.path)
    assert pins.path.read_text() == HEADER + row("shop/a.csv", server.url("/a"), body)
    assert (raw / "shop/a.csv").read_bytes() == body
    assert "Range" in server.requests[1].headers


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_kill_between_the_pin_and_the_file_is_made_good(serve, raw, pins, monkeypatch):
    server = serve({"/a": Reply(FIRST)})
    file = SourceFile("shop/a.csv", (server.url("/a"),))

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(download, "write_json", killed)
        with pytest.raises(Killed):
            get(file, raw, pins)
    assert pins.path.exists()
    assert not (raw / "shop/a.csv").exists()
    get(file, raw, pins)
    assert (raw / "shop/a.csv").read_bytes() == FIRST
    assert len(server.requests) == 1


@pytest.fixture
def archived(tmp_path):
    """A file that is a member of an archive, and the bytes of this archive."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in/a.csv", FIRST)
        archive.writestr("in/b.csv", SECOND)
    body = path.read_bytes()
    path.unlink()
    return body


def member(url, name="a.csv"):
    archive = SourceFile("shop/all.zip", (url,))
    return SourceFile(f"shop/{name}", archive=archive, member=f"in/{name}")


def test_a_member_of_an_archive_is_unpacked_and_both_are_pinned(serve, raw, pins, archived):
    server = serve({"/all.zip": Reply(archived)})
    url = server.url("/all.zip")
    assert get(member(url), raw, pins).url == "shop/all.zip/in/a.csv"
    get(member(url, "b.csv"), raw, pins)
    assert (raw / "shop/a.csv").read_bytes() == FIRST
    assert (raw / "shop/b.csv").read_bytes() == SECOND
    assert len(server.requests) == 1
    assert list(pins.read()) == ["shop/a.csv", "shop/all.zip", "shop/b.csv"]
    assert sorted(path.name for path in (raw / "shop").iterdir() if path.suffix != ".json") == [
        "a.csv",
        "all.zip",
        "b.csv",
    ]


def test_a_mirror_with_the_unpacked_file_needs_no_archive(raw, pins, tmp_path):
    (tmp_path / "mirror/shop").mkdir(parents=True)
    (tmp_path / "mirror/shop/a.csv").write_bytes(FIRST)
    assert get(member("http://127.0.0.1:9/none"), raw, pins, str(tmp_path / "mirror")).url == "mirror:shop/a.csv"
    assert not (raw / "shop/all.zip").exists()


def test_a_mirror_with_the_archive_serves_its_members(raw, pins, tmp_path, archived):
    (tmp_path / "mirror/shop").mkdir(parents=True)
    (tmp_path / "mirror/shop/all.zip").write_bytes(archived)
    get(member("http://127.0.0.1:9/none"), raw, pins, str(tmp_path / "mirror"))
    assert (raw / "shop/a.csv").read_bytes() == FIRST
    assert pins.read()["shop/all.zip"].url == "mirror:shop/all.zip"


@pytest.mark.parametrize("damage", ["absent", "no member", "cut"])
def test_an_archive_that_does_not_serve_is_named(serve, raw, pins, archived, damage):
    served = {"absent": {}, "no member": {"/all.zip": Reply(archived)}, "cut": {"/all.zip": Reply(archived[:-40])}}
    server = serve(served[damage])
    name = "c.csv" if damage == "no member" else "a.csv"
    with pytest.raises(DownloadError) as caught:
        get(member(server.url("/all.zip"), name), raw, pins)
    for part in (f"shop/all.zip/in/{name}", str(raw / "shop" / name), "put the file at"):
        assert part in str(caught.value)
    assert {"absent": "HTTP 404", "no member": "lacks a member", "cut": "no zip archive"}[damage] in str(caught.value)
    assert not (raw / "shop" / name).exists()


def test_an_archive_that_changed_is_accepted_for_itself(serve, raw, pins, archived):
    server = serve({"/all.zip": Reply(archived)})
    pins.pin(Pin("shop/all.zip", "https://one.example/all.zip", digest(FIRST), 6000))
    with pytest.raises(DownloadError, match=r"--accept shop/all\.zip"):
        get(member(server.url("/all.zip")), raw, replace(pins, accepts=True))
    get(SourceFile("shop/all.zip", (server.url("/all.zip"),)), raw, replace(pins, accepts=True))
    get(member(server.url("/all.zip")), raw, pins)
    assert (raw / "shop/a.csv").read_bytes() == FIRST


def test_raw_files_are_compared_with_their_pins(raw, pins):
    for name, body in (("shop/a.csv", FIRST), ("shop/b.csv", SECOND), ("shop/c.csv", FIRST)):
        pins.pin(Pin(name, "", digest(body), len(body)))
    (raw / "shop").mkdir(parents=True)
    (raw / "shop/a.csv").write_bytes(FIRST)
    assert check_files(pins.read(), raw) == 1
    (raw / "shop/b.csv").write_bytes(FIRST)
    with pytest.raises(ChecksumError) as caught:
        check_files(pins.read(), raw)
    assert f"{raw}/shop/b.csv (your own): sha256 {digest(FIRST)}, expected sha256 {digest(SECOND)}" in str(caught.value)
    assert "a.csv" not in str(caught.value)


def test_the_scripts_pin_accept_and_check(tmp_path):
    registry, mirror, raw = tmp_path / "sources.csv", tmp_path / "mirror/shop", tmp_path / "raw"
    registry.write_text("dataset,file,url,sha256,bytes,licence,note\nshop,a.csv,,,,,the release of 2014\n")
    mirror.mkdir(parents=True)

    def run(name, *flags):
        return subprocess.run(
            [sys.executable, ROOT / "workflow/scripts" / name, *flags],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "MMSREC_MIRROR": str(mirror.parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def get(*flags):
        return run("download.py", "shop/a.csv", "--registry", registry, "--output", raw / "shop/a.csv", *flags)

    missing = get()
    assert missing.returncode == 1
    assert "shop/a.csv (the release of 2014)" in missing.stderr
    assert f"put the file at {raw}/shop/a.csv" in missing.stderr
    (mirror / "a.csv").write_bytes(FIRST)
    assert get().returncode == 0
    (mirror / "a.csv").write_bytes(SECOND)
    (raw / "shop/a.csv").unlink()
    refused = get()
    assert refused.returncode == 1
    assert "--accept shop/a.csv" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert get("--accept").returncode == 0
    lock = tmp_path / "sources.lock.csv"
    assert lock.read_text() == HEADER + row("shop/a.csv", "mirror:shop/a.csv", SECOND)
    assert run("check_raw.py", "--lock", lock, "--raw", raw).returncode == 0
    (raw / "shop/a.csv").write_bytes(FIRST)
    assert "differ from their pins" in run("check_raw.py", "--lock", lock, "--raw", raw).stderr
