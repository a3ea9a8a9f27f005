import resource
from pathlib import Path

import pytest

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.media_store import Store, media_path
from mmsrec.files import sha256
from tests.unit.crawl.examples import files, picture, policy

ODD = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\x00b",
    ".hidden",
    "\u00e9",
    "x" * 65,
    "a b",
    "-rf\n",
]


def test_plain_ids_name_their_files() -> None:
    for item in ("B000142FVW", "1", "video12", "a-b_c.d", "-x"):
        assert media_path(item, ".jpg").split("/")[2] == f"{item}.jpg"


@pytest.mark.parametrize("item", ODD)
def test_an_unsafe_id_is_replaced_by_its_digest(item: str) -> None:
    folder, shard, name = media_path(item, ".jpg").split("/")

    assert folder == "files"
    assert len(shard) == 2
    assert name[0] == "="
    assert len(name) == 1 + 32 + 4


def test_no_two_ids_share_a_path() -> None:
    items = [*ODD, *(item.upper() for item in ODD), "a", "b"]

    assert len({media_path(item, "") for item in items}) == len(set(items))


def test_a_picture_is_saved_with_its_digest(tmp_path: Path) -> None:
    body = picture()
    with Store(tmp_path) as store:
        entry = store.save_picture("../x", body, policy())

    assert files(tmp_path) == {entry.path: body}
    assert (entry.state, entry.bytes, entry.sha256) == ("ok", len(body), sha256(tmp_path / entry.path))


def test_a_rejected_picture_leaves_no_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store, pytest.raises(Rejected):
        store.save_picture("x", picture()[:-100], policy())

    assert files(tmp_path) == {}


def test_unfinished_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial/x.jpg").write_bytes(b"half")
    with Store(tmp_path):
        assert files(tmp_path) == {}


def test_a_finished_file_moves_to_its_place(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        (store.partial / "trailer.mp4").write_bytes(b"video")
        entry = store.save_file("7", store.partial / "trailer.mp4")

    assert files(tmp_path) == {entry.path: b"video"}
    assert entry.path == media_path("7", ".mp4")


def test_a_disk_that_takes_a_part_of_a_picture_leaves_no_file(tmp_path: Path) -> None:
    body, before = picture(), resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store(tmp_path) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(body) - 10, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                store.save_picture("x", body, policy())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == {}
