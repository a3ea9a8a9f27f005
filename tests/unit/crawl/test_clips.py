import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from mmsrec.artifacts import SCHEMAS, read_table
from mmsrec.crawl.clips import collect_clips
from mmsrec.crawl.video_formats import sniff
from mmsrec.errors import ArchiveError
from mmsrec.settings.corpora import ClipCorpus
from mmsrec.sources.captions import ingest_clips, media_url
from tests.servers import Reply, Server
from tests.unit.crawl.examples import files, ledger, picture, policy
from tests.unit.made_videos import made_sound, made_video

CLIPS = Path(__file__).parents[1] / "features/clips"
MP4 = (CLIPS / "constant.mp4").read_bytes()
WEBM = (CLIPS / "vp9.webm").read_bytes()


def corpus(videos: str, **settings: int) -> ClipCorpus:
    return ClipCorpus(kind="clips", captions="msrvtt/captions.csv", videos=videos, **settings)


def clips(ids: list[str], videos: str) -> pa.Table:
    return pa.table({"item_id": ids, "media_url": [media_url(item, videos) for item in ids]})


def states(folder: Path) -> dict[str, str]:
    return {item: row["state"] for item, row in ledger(folder).items()}


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (MP4, ".mp4"),
        (b"\x00\x00\x00\x14ftypqt  ", ".mp4"),
        (b"\x00\x00\x00\x08wide", ".mov"),
        (WEBM, ".webm"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", ".avi"),
        (b"FLV\x01\x05", ".flv"),
        (b"\x00\x00\x01\xba", ".mpg"),
        (b"G\x40\x11\x10\x00\x42", ".ts"),
        (b"G\x40\x00\x10\x00\x00", ".ts"),
        (b"G\x1f\xff\x10", ".ts"),
        (b"\x00\x00\x00\x00G\x40\x00\x10", ".m2ts"),
        (b"\x00\x00\x00\x08free", ".mov"),
        (b"GIF89a", None),
        (b"\x00\x00\x00\x20ftypavif", None),
        (b"\x00\x00\x00\x20ftypheic", None),
        (b"RIFF\x00\x00\x00\x00WEBP", None),
        (b"<!DOCTYPE html>", None),
        (picture(), None),
        (b"", None),
    ],
)
def test_a_video_is_recognised_by_its_first_bytes(head: bytes, suffix: str | None) -> None:
    assert sniff(head[:16]) == suffix


def test_videos_from_a_folder_are_copied(tmp_path: Path) -> None:
    folder = tmp_path / "raw/msrvtt/videos"
    folder.mkdir(parents=True)
    bodies = {"1": MP4, "2": b"<html>", "4": MP4 + bytes(5000), "5": WEBM, "6": picture(), "7": b""}
    for item, body in bodies.items():
        (folder / f"{item}.mp4").write_bytes(body)
    (tmp_path / "secret.mp4").write_bytes(MP4)
    row = corpus("msrvtt/videos/{item_id}.mp4", max_bytes=5000)
    ids = ["1", "2", "3", "4", "5", "6", "7", "../../../secret"]
    collect_clips(clips(ids, row.videos), tmp_path / "media", row, policy(), tmp_path / "raw")

    expected = ["ok", "undecodable", "missing", "oversize", "ok", "undecodable", "undecodable", "refused"]
    assert states(tmp_path / "media") == dict(zip(ids, expected, strict=True))
    rows = ledger(tmp_path / "media")
    assert {rows["1"]["path"][-4:], rows["5"]["path"][-5:]} == {".mp4", ".webm"}
    assert files(tmp_path / "media") == {rows["1"]["path"]: MP4, rows["5"]["path"]: WEBM}


def test_a_file_without_frames_is_not_ok(tmp_path: Path) -> None:
    bodies = {
        "plain": made_video(),
        "stream": made_video("mpegts"),
        "sound": made_sound(),
        "sound with a cover": made_sound(cover=picture(size=(64, 48))),
        "no index": made_video().replace(b"moov", b"none"),
        "cut": made_video()[:600],
        "head only": MP4[:44],
    }
    folder = tmp_path / "raw/videos"
    folder.mkdir(parents=True)
    for item, body in bodies.items():
        (folder / f"{item}.mp4").write_bytes(body)
    row = corpus("videos/{item_id}.mp4")
    collect_clips(clips(list(bodies), row.videos), tmp_path / "media", row, policy(), tmp_path / "raw")

    found = states(tmp_path / "media")
    assert found.pop("plain") == found.pop("stream") == "ok"
    assert set(found.values()) == {"undecodable"}
    assert ledger(tmp_path / "media")["sound with a cover"]["error"].endswith(": the file has no video stream")
    assert ledger(tmp_path / "media")["stream"]["path"].endswith(".ts")


def pack(path: Path, members: dict[str | zipfile.ZipInfo, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)


def test_videos_from_an_archive_are_read_without_unpacking_it(tmp_path: Path) -> None:
    members = {f"MSRVTT/videos/all/{number}.mp4": MP4 + bytes([number]) for number in range(20)}
    pack(tmp_path / "raw/msrvtt/MSRVTT.zip", members | {"MSRVTT/videos/all/odd.mp4": b"<html>", "x/y.json": b"{}"})
    row = corpus("msrvtt/MSRVTT.zip/MSRVTT/videos/all/{item_id}.mp4", max_bytes=len(MP4) + 1)
    ids = [*map(str, range(21)), "odd", "../../../x/y"]
    collect_clips(clips(ids, row.videos), tmp_path / "media", row, policy(), tmp_path / "raw")

    found = states(tmp_path / "media")
    assert [found[item] for item in ids] == ["ok"] * 20 + ["missing", "undecodable", "missing"]
    rows, bodies = ledger(tmp_path / "media"), files(tmp_path / "media")
    assert all(bodies[rows[str(number)]["path"]] == MP4 + bytes([number]) for number in range(20))
    assert row.raw_files == ["msrvtt/captions.csv", "msrvtt/MSRVTT.zip"]


def test_a_damaged_or_unsafe_archive_stops_the_run(tmp_path: Path) -> None:
    path = tmp_path / "raw/msrvtt/MSRVTT.zip"
    row = corpus("msrvtt/MSRVTT.zip/v/{item_id}.mp4")
    table = clips(["1"], row.videos)

    def run() -> None:
        collect_clips(table, tmp_path / "media", row, policy(), tmp_path / "raw")

    with pytest.raises(ArchiveError, match="missing"):
        run()
    link = zipfile.ZipInfo("v/1.mp4")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    for members in ({link: b"/etc/passwd"}, {"../1.mp4": MP4, "v/1.mp4": MP4}):
        pack(path, members)
        with pytest.raises(ArchiveError, match="not safe"):
            run()
    pack(path, {"v/1.mp4": MP4})
    body = path.read_bytes()
    path.write_bytes(body.replace(MP4[-60:-50], bytes(10)))
    with pytest.raises(ArchiveError, match="damaged"):
        run()


def test_videos_from_the_web_are_fetched_under_the_policy(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(
        {
            "/robots.txt": Reply(b"User-agent: *\nDisallow: /no/\n"),
            "/v/1.mp4": Reply(MP4),
            "/v/a%20b.mp4": Reply(WEBM),
            "/v/html.mp4": Reply(b"<html>" + bytes(100)),
            "/v/large.mp4": Reply(MP4 + bytes(9000)),
            "/v/out.mp4": Reply(MP4, headers={"X-Robots-Tag": "noai"}),
        }
    )
    row = corpus(server.base + "/v/{item_id}.mp4", max_bytes=5000)
    ids = ["1", "a b", "html", "large", "gone", "out"]
    collect_clips(clips(ids, row.videos), tmp_path, row, policy(max_bytes=10), tmp_path)
    assert states(tmp_path) == {
        "1": "ok",
        "a b": "ok",
        "html": "undecodable",
        "large": "oversize",
        "gone": "dead",
        "out": "refused",
    }
    assert ledger(tmp_path)["html"]["error"] == "the answer is not a video"
    assert sorted(files(tmp_path).values()) == sorted([MP4, WEBM])
    assert row.raw_files == ["msrvtt/captions.csv"]

    asked = len(server.requests)
    collect_clips(clips(ids, row.videos), tmp_path, row, policy(max_bytes=10), tmp_path)
    assert len(server.requests) == asked


def test_the_real_clips_are_collected(real_data: Path, tmp_path: Path) -> None:
    row = ClipCorpus(kind="clips", captions="msrvtt/MSRVTT_JSFUSION_test.csv", videos="msrvtt/videos/{item_id}.mp4")
    ingest_clips(row, real_data, tmp_path)
    items = read_table(tmp_path / "items.parquet", SCHEMAS["items"]).slice(0, 60)
    counts = collect_clips(items, tmp_path / "media", row, policy(), real_data)

    there = sum((real_data / url).exists() for url in items.column("media_url").to_pylist())
    assert 0 < there < 60
    assert counts == {"ok": there, "missing": 60 - there}
    assert {path.rpartition(".")[2] for path in files(tmp_path / "media")} == {"mp4"}
