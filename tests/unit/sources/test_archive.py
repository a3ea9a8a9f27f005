import stat
import struct
import zipfile

import pytest

from mmsrec.errors import ArchiveError
from mmsrec.sources.archive import open_member, open_members


@pytest.fixture
def pack(tmp_path):
    """Writes members to an archive. Each member is a name or a ZipInfo, and its bytes."""

    def to_file(*members, compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in members:
                archive.writestr(name, data)
        return path

    return to_file


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def read(archive, name, **options):
    with open_member(archive, name, **options) as file:
        return file.read()


def test_one_member_is_read(pack):
    data = b"1::2::5::978300000\n" * 100_000
    archive = pack(("ml-1m/README", b"x"), ("ml-1m/ratings.dat", data))
    with open_member(archive, "ml-1m/ratings.dat") as file:
        assert file.readline() == b"1::2::5::978300000\n"
        assert file.read() == data[19:]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("../evil.txt", b""), "path with '..'"),
        (("a/../../evil.txt", b""), "path with '..'"),
        (("/evil.txt", b""), "absolute path"),
        (("C:/evil.txt", b""), "Windows drive"),
        (("a\\..\\evil.txt", b""), "backslash"),
        (("./", b""), "empty name"),
        (link("a/link", "/etc/passwd"), "a link or a device"),
    ],
)
def test_an_unsafe_member_makes_the_archive_unsafe(pack, member, reason):
    archive = pack(("fine.txt", b"1"), member)
    with pytest.raises(ArchiveError, match="not safe") as caught:
        read(archive, "fine.txt")
    assert reason in str(caught.value)
    assert repr(getattr(member[0], "filename", member[0])) in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "./a")])
def test_members_may_not_share_a_path(pack, names):
    archive = pack(*((name, b"1") for name in names))
    with pytest.raises(ArchiveError, match="share a path"):
        read(archive, "a")


def test_a_bomb_is_refused_before_it_is_unpacked(pack):
    archive = pack(("zeros", bytes(5_000_000)))
    assert archive.stat().st_size < 10_000
    with pytest.raises(ArchiveError, match="too large") as caught:
        read(archive, "zeros", max_bytes=1_000_000)
    assert "5,000,000" in str(caught.value)


def test_a_bomb_with_a_false_size_is_stopped(pack):
    archive = pack(("zeros", bytes(5_000_000)))
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 1_000)))
    with pytest.raises(ArchiveError, match="damaged") as caught:
        read(archive, "zeros", max_bytes=1_000_000)
    assert "'zeros'" in str(caught.value)


def test_a_damaged_member_is_named(pack):
    archive = pack(("a/ratings.dat", b"1234567890" * 1000), compression=zipfile.ZIP_STORED)
    damaged = bytearray(archive.read_bytes())
    damaged[5000] ^= 1
    archive.write_bytes(damaged)
    with pytest.raises(ArchiveError, match="damaged") as caught:
        read(archive, "a/ratings.dat")
    assert "'a/ratings.dat'" in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_archive_is_damaged(pack, share):
    archive = pack(("a", b"1234567890" * 1000))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArchiveError, match="damaged or no zip archive"):
        read(archive, "a")


def test_a_missing_archive_and_a_missing_member_are_named(pack, tmp_path):
    with pytest.raises(ArchiveError, match="missing"):
        read(tmp_path / "none.zip", "a")
    with pytest.raises(ArchiveError, match="lacks a member") as caught:
        read(pack(("a", b"")), "b")
    assert "expected: b" in str(caught.value)


def test_many_members_of_an_open_archive_are_read_by_name(pack):
    with open_members(pack(("a/one.txt", b"1"), ("two.txt", b"2"))) as members:
        assert "a/one.txt" in members
        assert "one.txt" not in members
        with members.open("two.txt") as file:
            assert file.read() == b"2"
