import hashlib
import multiprocessing
import os
import stat
import time

import pytest

from mmsrec.errors import ArtifactError
from mmsrec.files import atomic_folder, atomic_path, lock, read_json, sha256, write_json, write_text


class Interrupted(Exception):
    """An error that ends a block early."""


def half_write(path):
    path.write_text("half")
    raise Interrupted


def test_a_file_is_whole_when_its_block_ends(tmp_path):
    path = tmp_path / "new" / "table.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["table.txt"]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("old")
    with pytest.raises(Interrupted), atomic_path(path) as temporary:
        half_write(temporary)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.txt"]


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "table.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "table.txt").stat().st_mode) == 0o640


def test_a_folder_replaces_the_old_folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    with atomic_folder(path) as temporary:
        (temporary / "new").touch()
        assert os.listdir(path) == ["old"]
    assert os.listdir(path) == ["new"]
    with pytest.raises(Interrupted), atomic_folder(path) as temporary:
        half_write(temporary / "half")
    assert os.listdir(path) == ["new"]
    assert os.listdir(tmp_path) == ["model"]


def test_json_is_read_back_and_is_indented(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"b": "é", "a": [1, None]})
    assert read_json(path) == {"b": "é", "a": [1, None]}
    assert path.read_text(encoding="utf-8") == '{\n  "a": [\n    1,\n    null\n  ],\n  "b": "é"\n}\n'


@pytest.mark.parametrize("data", [b"{", b"\xff", b""])
def test_a_file_that_is_no_json_is_named(tmp_path, data):
    path = tmp_path / "value.json"
    with pytest.raises(ArtifactError, match="missing"):
        read_json(path)
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="not JSON") as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_sha256_is_the_digest_of_the_content(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"abc" * 100_000)
    assert sha256(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def _count_slowly(path, together):
    together.wait(60)
    for _ in range(5):
        with lock(path):
            count = int(path.read_text())
            time.sleep(0.01)
            path.write_text(str(count + 1))


def test_a_lock_keeps_another_process_out_and_its_folder_clean(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    processes = [context.Process(target=_count_slowly, args=(path, together)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert path.read_text() == "10"
    assert os.listdir(tmp_path) == ["count"]


def test_json_that_is_written_is_json(tmp_path):
    with pytest.raises(ArtifactError, match="not finite") as caught:
        write_json(tmp_path / "a.json", {"metrics": {"all": {"mrr": 0.5, "recall": float("nan")}}})
    assert "metrics.all.recall: nan" in str(caught.value)
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": NaN}', "[Infinity]", "9" * 10_000, "{", ""])
def test_json_that_is_read_is_json(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ArtifactError, match="not JSON"):
        read_json(tmp_path / "a.json")
