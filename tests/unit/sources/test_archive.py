import stat
import struct
import zipfile

import pytest

from mmsrec.errors import ArchiveError
from mmsrec.sources.archive import extract, open_member


@pytest.fixture
def pack(tmp_path):
    """Writes members, given as names or ZipInfos with their bytes, to an archive."""

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


def names_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_member_is_read_alone(pack):
    data = b"1::2::5::978300000\n" * 100_000
    archive = pack(("ml-1m/README", b"x"), ("ml-1m/ratings.dat", data))
    with open_member(archive, "ml-1m/ratings.dat") as file:
        assert file.readline() == b"1::2::5::978300000\n"
        assert file.read() == data[19:]


def test_an_archive_is_unpacked_whole(pack, tmp_path):
    archive = pack(("a/one.txt", b"1"), ("a/b/", b""), ("two.txt", b"2"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    extract(archive, tmp_path / "out")
    assert names_below(tmp_path / "out") == ["a", "a/b", "a/one.txt", "two.txt"]
    assert (tmp_path / "out" / "a" / "one.txt").read_bytes() == b"1"


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
def test_an_unsafe_member_stops_everything(pack, tmp_path, member, reason):
    archive = pack(("fine.txt", b"1"), member)
    with pytest.raises(ArchiveError, match="not safe") as caught:
        extract(archive, tmp_path / "deep" / "out")
    assert reason in str(caught.value)
    assert repr(getattr(member[0], "filename", member[0])) in str(caught.value)
    with pytest.raises(ArchiveError, match="not safe"), open_member(archive, "fine.txt"):
        pass
    assert names_below(tmp_path) == ["archive.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "./a")])
def test_members_may_not_share_a_path(pack, tmp_path, names):
    archive = pack(*((name, b"1") for name in names))
    with pytest.raises(ArchiveError, match="share a path"):
        extract(archive, tmp_path / "out")


def test_a_bomb_is_refused_before_it_is_unpacked(pack, tmp_path):
    archive = pack(("zeros", bytes(5_000_000)))
    assert archive.stat().st_size < 10_000
    with pytest.raises(ArchiveError, match="too large") as caught:
        extract(archive, tmp_path / "out", max_bytes=1_000_000)
    assert "5,000,000" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_lies_about_its_size_is_stopped(pack, tmp_path):
    archive = pack(("zeros", bytes(5_000_000)))
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 1_000)))
    with pytest.raises(ArchiveError, match="damaged") as caught:
        extract(archive, tmp_path / "out", max_bytes=1_000_000)
    assert "'zeros'" in str(caught.value)
    assert names_below(tmp_path) == ["archive.zip"]


def test_damage_names_the_member(pack, tmp_path):
    archive = pack(("a/ratings.dat", b"1234567890" * 1000), compression=zipfile.ZIP_STORED)
    damaged = bytearray(archive.read_bytes())
    damaged[5000] ^= 1
    archive.write_bytes(damaged)
    with pytest.raises(ArchiveError, match="damaged") as caught:
        extract(archive, tmp_path / "out")
    assert "'a/ratings.dat'" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_archive_is_damaged(pack, tmp_path, share):
    archive = pack(("a", b"1234567890" * 1000))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArchiveError, match="damaged or no zip archive"):
        extract(archive, tmp_path / "out")


def test_what_is_not_there_is_named(pack, tmp_path):
    with pytest.raises(ArchiveError, match="missing"):
        extract(tmp_path / "none.zip", tmp_path / "out")
    with pytest.raises(ArchiveError, match="lacks a member") as caught, open_member(pack(("a", b"")), "b"):
        pass
    assert "expected: b" in str(caught.value)
