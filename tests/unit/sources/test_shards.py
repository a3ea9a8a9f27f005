import io
import tarfile
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from mmsrec.errors import ParseError
from mmsrec.sources.shards import MAX_CAPTION_BYTES, MAX_MEMBER_BYTES, read_clips
from tests.unit.sources.tars import clip, npy, some_clips, write_clips, write_tar

WIDTH = 8
FRAMES = np.ones((3, WIDTH), np.float32)


@pytest.fixture
def read(tmp_path):
    """Reads the given members and returns the clips and the problems."""

    def from_members(*members):
        problems = Counter()
        path = write_tar(tmp_path / "00000.tar", members)
        return list(read_clips(path, WIDTH, problems)), problems

    return from_members


def test_clips_are_read_in_order(tmp_path):
    clips = some_clips(50, WIDTH)
    problems = Counter()
    found = list(read_clips(write_clips(tmp_path / "a.tar", clips), WIDTH, problems))

    assert [clip.key for clip in found] == [key for key, _, _ in clips]
    assert [clip.caption for clip in found] == [" ".join(caption.split()) for _, _, caption in clips]
    for parts, (_, frames, _) in zip(found, clips, strict=True):
        np.testing.assert_array_equal(parts.frames, frames)
    assert not problems


def test_byte_order_axis_order_and_further_members_do_not_matter(read):
    frames = np.arange(3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    found, problems = read(
        ("./a/x.y/b.tar.txt", b"no part of a clip"),
        ("./a/b.npy", npy(np.asfortranarray(frames).astype(">f4"))),
        ("./a/b.mp4", b"..."),
        ("./a/b.txt", "hablando español".encode()),
    )
    assert [(clip.key, clip.caption) for clip in found] == [("a/b", "hablando español")]
    np.testing.assert_array_equal(found[0].frames, frames)
    assert not problems


OBJECTS = np.array([[{}] * WIDTH], object)
HEADER = b"\x93NUMPY\x01\x00"


def with_false_shape(shape):
    """A .npy file whose header states a shape that does not match its bytes."""
    text = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode() + b"\n"
    return HEADER + len(text).to_bytes(2, "little") + text + bytes(64)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (npy(OBJECTS, allow_pickle=True), "not of float16 or float32"),
        (npy(FRAMES.astype(np.float64)), "not of float16 or float32"),
        (npy(FRAMES.astype(np.int32)), "not of float16 or float32"),
        (npy(np.ones((3, WIDTH + 1), np.float32)), "not of the shape"),
        (npy(np.ones(WIDTH, np.float32)), "not of the shape"),
        (npy(np.ones((0, WIDTH), np.float32)), "not of the shape"),
        (npy(np.ones((1, 1, WIDTH), np.float32)), "not of the shape"),
        (npy(np.full((3, WIDTH), np.nan, np.float32)), "not finite"),
        (npy(np.full((3, WIDTH), np.inf, np.float16)), "not finite"),
        (npy(FRAMES)[:-4], "more or fewer bytes"),
        (npy(FRAMES) + b"\0", "more or fewer bytes"),
        (with_false_shape((2**40, WIDTH)), "more or fewer bytes"),
        (with_false_shape((-1, WIDTH)), "not of the shape"),
        (HEADER + b"\x10\x00{'descr': ", "no header"),
        (HEADER + b"\xff\xff" + b"(" * 65535, "no header"),
        (HEADER + b"\x01\x00(", "no header"),
        (b"\x93NUMPY\x09\x00" + bytes(64), "no header"),
        (b"not an array", "no header"),
        (b"", "no header"),
    ],
)
def test_a_malformed_array_costs_its_clip_only(read, array, reason):
    found, problems = read(*clip("a", FRAMES, "first"), ("b.npy", array), ("b.txt", b"x"), *clip("c", FRAMES, "third"))
    assert [clip.key for clip in found] == ["a", "c"]
    assert [(reason in problem, number) for problem, number in problems.items()] == [(True, 1)]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("b.npy", npy(FRAMES))], "a clip has no .txt"),
        ([("b.txt", b"words")], "a clip has no .npy"),
        ([("b.npy", npy(FRAMES)), ("b.txt", b"\xff\xfe")], "a caption is not UTF-8"),
        ([("b.npy", npy(FRAMES)), ("b.txt", b" \n ")], "a caption is empty"),
        ([("b.npy", npy(FRAMES)), ("b.txt", b"x" * (MAX_CAPTION_BYTES + 1))], "a caption is longer"),
        ([*clip("b", FRAMES, "second"), *clip("a", FRAMES, "again")], "a clip occurs twice"),
        ([("b.npy", npy(FRAMES)), ("b.npy", npy(FRAMES)), ("b.txt", b"x")], "a clip has a member twice"),
    ],
)
def test_a_malformed_clip_is_dropped(read, members, reason):
    found, problems = read(*clip("a", FRAMES, "first"), *members, *clip("c", FRAMES, "third"))
    assert {clip.key for clip in found} >= {"a", "c"}
    assert [(reason in problem, number) for problem, number in problems.items()] == [(True, 1)]


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("../b.npy", npy(FRAMES)), "no safe name"),
        (("/etc/b.npy", npy(FRAMES)), "no safe name"),
        (("a/../../b.txt", b"x"), "no safe name"),
        (("a\\b.txt", b"x"), "no safe name"),
        ((".hidden", b"x"), "no safe name"),
        (("no_suffix", b"x"), "no safe name"),
        (("b\udcff.txt", b"x"), "no safe name"),
        (special("b.npy", tarfile.SYMTYPE, "/etc/passwd"), "a link or a device"),
        (special("b.npy", tarfile.LNKTYPE, "a.npy"), "a link or a device"),
        (special("b.npy", tarfile.FIFOTYPE), "a link or a device"),
        (special("b.npy", tarfile.CHRTYPE), "a link or a device"),
    ],
)
def test_an_unsafe_member_is_skipped(read, member, reason):
    found, problems = read(*clip("a", FRAMES, "first"), member, *clip("c", FRAMES, "third"))
    assert [clip.key for clip in found] == ["a", "c"]
    assert [(reason in problem, number) for problem, number in problems.items()] == [(True, 1)]


def test_folders_are_no_problem(read):
    found, problems = read(special("b", tarfile.DIRTYPE), *clip("b/a", FRAMES, "first"))
    assert len(found) == 1
    assert not problems


def test_a_truncated_shard_is_an_error(tmp_path):
    whole = write_clips(tmp_path / "whole.tar", some_clips(6, WIDTH)).read_bytes()
    end = max(position for position in range(0, len(whole), 512) if any(whole[position : position + 512])) + 512
    for size in [0, 1, 511, 512, 513, *range(1024, end + 1, 700), end]:
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole[:size])
        with pytest.raises(ParseError, match="damaged, truncated") as caught:
            list(read_clips(cut, WIDTH, Counter()))
        assert str(cut) in str(caught.value)


@pytest.mark.parametrize("offset", [0, 512 * 3])
def test_a_damaged_header_is_an_error(tmp_path, offset):
    body = bytearray(write_clips(tmp_path / "a.tar", some_clips(6, WIDTH)).read_bytes())
    headers = [position for position in range(0, len(body), 512) if body[position + 257 : position + 262] == b"ustar"]
    body[min(position for position in headers if position >= offset) + 5] ^= 1
    (tmp_path / "a.tar").write_bytes(body)
    with pytest.raises(ParseError, match="damaged"):
        list(read_clips(tmp_path / "a.tar", WIDTH, Counter()))


def test_other_files_and_compressed_archives_are_errors(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    for body in (b"<html>", b"x" * 4096, buffer.getvalue()):
        (tmp_path / "a.tar").write_bytes(body)
        with pytest.raises(ParseError, match="no tar archive"):
            list(read_clips(tmp_path / "a.tar", WIDTH, Counter()))
    with pytest.raises(ParseError, match="missing"):
        list(read_clips(tmp_path / "none.tar", WIDTH, Counter()))


def header_of(size_field, kind=tarfile.REGTYPE):
    """A header with an arbitrary size field in base 256."""
    info = tarfile.TarInfo("b.npy")
    info.type = kind
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[124:136] = size_field
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head)


@pytest.mark.parametrize(
    "header",
    [
        header_of(b"\x80" + (2**60).to_bytes(11, "big")),
        header_of(b"\xff" + (2**88 - 1024).to_bytes(11, "big")),
        header_of(b"\x80" + (2**40).to_bytes(11, "big"), tarfile.XHDTYPE),
        header_of(b"\x80" + (2**40).to_bytes(11, "big"), tarfile.GNUTYPE_LONGNAME),
        (header_of(b"\x80" + (12).to_bytes(11, "big"), tarfile.XHDTYPE) + b"12 path=aa\n\0".ljust(512)) * 3000,
    ],
    ids=["huge", "negative", "huge pax", "huge name", "endless pax"],
)
def test_a_header_with_a_false_size_needs_little_memory(tmp_path, header):
    whole = write_clips(tmp_path / "a.tar", some_clips(2, WIDTH)).read_bytes()
    (tmp_path / "a.tar").write_bytes(header + bytes(512) + whole)
    tracemalloc.start()
    with pytest.raises(ParseError, match="damaged"):
        list(read_clips(tmp_path / "a.tar", WIDTH, Counter()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20


def test_a_large_array_is_dropped_before_it_is_read(tmp_path):
    info = tarfile.TarInfo("b.npy")
    info.size = MAX_MEMBER_BYTES + 1
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(info.tobuf())
        file.seek(-(-info.size // 512) * 512, io.SEEK_CUR)
        file.write(write_tar(tmp_path / "rest.tar", [("b.txt", b"x"), *clip("c", FRAMES, "y")]).read_bytes())
    problems = Counter()
    tracemalloc.start()
    found = list(read_clips(tmp_path / "a.tar", WIDTH, problems))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [clip.key for clip in found] == ["c"]
    assert any("larger than" in problem for problem in problems)
    assert peak < 2**20


@pytest.mark.parametrize("name", ["clip{}.npy", "clip.npy"])
def test_members_that_were_read_are_not_kept(tmp_path, name):
    members = [(name.format(number), npy(np.ones((50, WIDTH), np.float32))) for number in range(2000)]
    path = write_tar(tmp_path / "a.tar", members)
    tracemalloc.start()
    for _ in read_clips(path, WIDTH, Counter()):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
