"""Trailers through yt-dlp's generic extractor from a loopback server. YouTube's messages are written by hand."""

import re
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from yt_dlp.utils import DownloadError

from mmsrec.crawl.trailers import crawl_trailers
from mmsrec.crawl.video_check import check_seconds
from mmsrec.crawl.video_pages import Blocked, VideoSite, rejection_of
from mmsrec.errors import CrawlError
from mmsrec.features.frame_sampler import sample_video
from mmsrec.settings.crawling import Trailers
from mmsrec.settings.encoding import Frames
from mmsrec.settings.params import read_params
from tests.servers import Reply, Server
from tests.unit.crawl.examples import PARAMS, files, ledger
from tests.unit.crawl.videos import video
from tests.unit.made_videos import made_sound, made_video

Serve = Callable[..., Server]
TRAILER = video(30)
AVI = {"Content-Type": "video/avi"}


def trailers(server: Server | None = None, **changes: Any) -> Trailers:
    """The settings of params.yaml with pages and searches on a loopback server, and short pauses."""
    base = server.base if server else "http://127.0.0.1:1"
    here = {
        "url": base + "/{id}.avi",
        "search": base + "/search/{hits}/{title}.rss",
        "extractors": ["generic"],
        "pause": 0.001,
        "max_pause": 0.01,
        "read_timeout": 20.0,
    }
    return read_params(PARAMS).crawl.trailers.model_copy(update=here | changes)


def films(titles: Mapping[str, str | None]) -> pa.Table:
    return pa.table({"item_id": pa.array(titles, pa.string()), "title": pa.array(list(titles.values()), pa.string())})


def hits(server: Server, *pages: str) -> Reply:
    """The answer to a search, as a feed of links."""
    links = "".join(f"<item><title>a hit</title><link>{server.url(page)}</link></item>" for page in pages)
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel><title>hits</title>{links}</channel></rss>'
    return Reply(feed.encode(), headers={"Content-Type": "application/rss+xml"})


def clip(body: bytes = TRAILER, **options: Any) -> Reply:
    return Reply(body, **{"headers": AVI, **options})


def states(folder: Path) -> dict[str, str]:
    return {item: row["state"] for item, row in ledger(folder).items()}


def test_known_pages_come_before_the_hits_of_a_search(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/known.avi": clip(), "/second.avi": clip(video(40)), "/short.avi": clip(video(5))})
    server.routes["/search/3/Searched.rss"] = [hits(server, "/gone.avi", "/second.avi", "/third.avi")]
    server.routes["/search/3/Lost.rss"] = [hits(server, "/second.avi")]
    server.routes["/search/3/Nothing.rss"] = [hits(server)]
    server.routes["/search/3/Short.rss"] = [hits(server, "/short.avi")]
    titles = {"1": "Known", "2": "Searched", "3": "Lost", "4": "Nothing", "5": None, "6": "Short"}
    counts = crawl_trailers(films(titles), {"1": "known", "3": "lost"}, tmp_path, trailers(server))

    assert counts == {"ok": 3, "dead": 2, "missing": 1}
    rows = ledger(tmp_path)
    assert states(tmp_path) == {"1": "ok", "2": "ok", "3": "ok", "4": "dead", "5": "missing", "6": "dead"}
    assert rows["1"]["url"] == server.url("/known.avi")
    assert rows["2"]["url"] == rows["3"]["url"] == server.url("/second.avi")
    assert rows["6"]["error"] == "shorter than 20 s"
    found = files(tmp_path)
    assert {item: found[rows[item]["path"]] for item in "123"} == {"1": TRAILER, "2": video(40), "3": video(40)}
    assert len(found) == 3
    assert not server.asked("/search/3/Known.rss")
    assert not server.asked("/third.avi")


@pytest.mark.parametrize(
    ("reply", "bounds", "state", "error"),
    [
        (clip(video(10)), {}, "dead", "shorter than 20 s"),
        (clip(video(40)), {"max_seconds": 35.0}, "oversize", "longer than 35 s"),
        (clip(), {"max_bytes": 20_000}, "oversize", "more than 20000 bytes"),
        (clip(TRAILER[:-2000]), {}, "ok", None),
        (clip(TRAILER[:300]), {}, "undecodable", "not a video"),
        (clip(b"\0" * 3000), {}, "undecodable", "not a video"),
        (clip(drop_after=1000), {}, "failed", "download failed"),
        (clip(chunk=2000, pause=0.3), {"total_timeout": 0.5}, "failed", "took too long"),
        (Reply(status=404), {}, "dead", "no such page"),
        (Reply(status=410), {}, "dead", "no such page"),
        (Reply(status=500), {}, "failed", "HTTP status 500"),
        (
            Reply(b"<html><title>none</title></html>", headers={"Content-Type": "text/html"}),
            {},
            "dead",
            "no such video",
        ),
    ],
)
def test_each_fault_gives_its_state(
    serve: Serve, tmp_path: Path, reply: Reply, bounds: dict[str, Any], state: str, error: str | None
) -> None:
    server = serve({"/x.avi": reply})
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server, attempts=2, **bounds))

    row = ledger(tmp_path)["1"]
    assert row["state"] == state
    assert (error is None and row["error"] is None) or error in row["error"]
    assert set(files(tmp_path)) == ({row["path"]} if state == "ok" else set())
    assert row["attempts"] == (2 if state == "failed" else 1)


LIVE = (
    b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\n/7.ts\n"
    b"#EXTINF:4,\n/8.ts\n"
)


def test_a_live_stream_is_no_trailer_and_is_not_tried_again(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/x.avi": Reply(LIVE, headers={"Content-Type": "application/vnd.apple.mpegurl"})})
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server))
    asked = len(server.requests)
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server))

    row = ledger(tmp_path)["1"]
    assert (row["state"], row["error"], row["attempts"]) == ("dead", "it is a live stream", 1)
    assert len(server.requests) == asked


def test_a_page_that_states_a_length_beyond_the_bounds_is_oversize(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve({"/x.avi": clip()})
    monkeypatch.setattr(VideoSite, "_check", lambda *_: check_seconds(4000, trailers()))
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server))

    assert states(tmp_path) == {"1": "oversize"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=302, headers={"Location": "/\xff"}),
        Reply(status=302, headers={"Location": "http://[::1"}),
        clip(headers={**AVI, "Content-Length": "9" * 5000}),
        Reply(b"HTTP/1.1 abc\r\n\r\n", raw=True),
        Reply(b"abc", headers={"Content-Encoding": "gzip"}),
        Reply(
            b'<?xml version="1.0"?><rss version="2.0"><channel><item><link>http://[::1</link></item></channel></rss>',
            headers={"Content-Type": "application/rss+xml"},
        ),
    ],
)
def test_a_malformed_answer_is_this_item_s_failure(serve: Serve, tmp_path: Path, reply: Reply) -> None:
    server = serve({"/x.avi": reply, "/y.avi": clip()})
    items = films({"1": None, "2": None})
    crawl_trailers(items, {"1": "x", "2": "y"}, tmp_path, trailers(server, attempts=1))

    assert states(tmp_path)["1"] in ("failed", "dead")
    assert states(tmp_path)["2"] == "ok"


PLAYLIST = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:1
#EXT-X-PLAYLIST-TYPE:VOD
{map}#EXTINF:0.6,
a.{suffix}
#EXTINF:0.6,
b.{suffix}
#EXT-X-ENDLIST
"""


def hls(kind: str) -> dict[str, Reply]:
    """A stream of two parts, as MPEG-TS or as fragments of MP4 after their header."""
    if kind == "ts":
        parts = [made_video("mpegts"), made_video("mpegts", times=range(6, 12))]
        playlist = PLAYLIST.format(map="", suffix=kind)
        bodies = dict(zip(("a.ts", "b.ts"), parts, strict=True))
    else:
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        whole = made_video(times=range(12), options=options, encoder={"g": "6", "keyint_min": "6", "sc_threshold": "0"})
        first, second = (found.start() - 4 for found in re.finditer(b"moof", whole))
        playlist = PLAYLIST.format(map='#EXT-X-MAP:URI="head.mp4"\n', suffix="m4s")
        bodies = {"head.mp4": whole[:first], "a.m4s": whole[first:second], "b.m4s": whole[second:]}
    replies = {f"/{name}": Reply(body, headers={"Content-Type": "video/mp4"}) for name, body in bodies.items()}
    return replies | {"/x.avi": Reply(playlist.encode(), headers={"Content-Type": "application/vnd.apple.mpegurl"})}


@pytest.mark.parametrize("kind", ["ts", "m4s"])
def test_the_parts_of_an_hls_stream_become_a_video_with_frames(serve: Serve, tmp_path: Path, kind: str) -> None:
    server = serve(hls(kind))
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server, min_seconds=1.0))

    assert states(tmp_path) == {"1": "ok"}
    frames = sample_video(
        tmp_path / ledger(tmp_path)["1"]["path"], Frames(rule="uniform", count=12, size=48, quality=95)
    )
    assert [frame.index for frame in frames] == list(range(12))
    assert [round(frame.seconds - frames[0].seconds, 2) for frame in frames] == [number / 10 for number in range(12)]


@pytest.mark.parametrize("body", [made_sound(), made_video()[:600]], ids=["sound only", "no index"])
def test_a_trailer_without_frames_is_undecodable(serve: Serve, tmp_path: Path, body: bytes) -> None:
    server = serve({"/x.avi": Reply(body, headers={"Content-Type": "video/mp4"})})
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server, min_seconds=0.1))

    assert states(tmp_path) == {"1": "undecodable"}
    assert not files(tmp_path)


def test_the_first_request_of_a_page_is_retried(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/x.avi": [Reply(status=503), Reply(drop_after=0, body=b"x"), clip()]})
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server))

    assert (states(tmp_path), ledger(tmp_path)["1"]["attempts"]) == ({"1": "ok"}, 3)


def test_the_rest_of_a_failed_download_does_not_enter_the_next_trailer(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/a.avi": clip(video(60), drop_after=9000), "/b.avi": clip()})
    crawl_trailers(films({"1": None, "2": None}), {"1": "a", "2": "b"}, tmp_path, trailers(server, attempts=1))

    assert states(tmp_path) == {"1": "failed", "2": "ok"}
    assert list(files(tmp_path).values()) == [TRAILER]


def test_there_is_a_pause_between_requests(serve: Serve, tmp_path: Path) -> None:
    server = serve({f"/{n}.avi": Reply(status=404) for n in range(4)})
    items = films({str(n): None for n in range(4)})
    crawl_trailers(items, {str(n): str(n) for n in range(4)}, tmp_path, trailers(server, pause=0.2, max_pause=1.0))

    times = [request.time for request in server.requests]
    assert len(times) == 4
    assert all(later - first > 0.19 for first, later in pairwise(times))


def test_pauses_double_while_the_site_blocks_the_crawler(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = Reply(status=429)
    server = serve({"/a.avi": [Reply(status=404)], "/b.avi": [block, block, Reply(status=404)]})
    slept = []
    monkeypatch.setattr(time, "sleep", lambda seconds: slept.append(seconds))
    bounds = {"pause": 100.0, "max_pause": 300.0, "attempts": 3}
    crawl_trailers(films({"1": None, "2": None}), {"1": "a", "2": "b"}, tmp_path, trailers(server, **bounds))

    assert [seconds for seconds in slept if seconds >= 1] == [100, 100, 100, 200, 100]


def test_consecutive_blocks_end_the_run_and_the_next_run_resumes(serve: Serve, tmp_path: Path) -> None:
    block = Reply(status=429)
    server = serve({"/a.avi": clip(), "/b.avi": [block] * 4 + [clip(video(33))], "/c.avi": clip(video(34))})
    items, known = films({"1": None, "2": None, "3": None}), {"1": "a", "2": "b", "3": "c"}
    with pytest.raises(CrawlError, match="blocks the crawler") as caught:
        crawl_trailers(items, known, tmp_path, trailers(server, max_blocks=4, attempts=9))

    assert "it resumes" in str(caught.value)
    assert not (tmp_path / "ledger.parquet").exists()
    assert (len(server.asked("/b.avi")), server.asked("/c.avi")) == (4, [])
    first = len(server.asked("/a.avi"))

    crawl_trailers(items, known, tmp_path, trailers(server, max_blocks=4, attempts=9))
    assert states(tmp_path) == {"1": "ok", "2": "ok", "3": "ok"}
    assert len(server.asked("/a.avi")) == first


def test_one_page_that_is_always_blocked_does_not_end_the_run(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/a.avi": Reply(status=403), "/b.avi": clip()})
    crawl_trailers(
        films({"1": None, "2": None}), {"1": "a", "2": "b"}, tmp_path, trailers(server, max_blocks=5, attempts=3)
    )

    assert states(tmp_path) == {"1": "failed", "2": "ok"}


def test_a_page_without_an_allowed_extractor_is_not_opened(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/x.avi": clip()})
    crawl_trailers(films({"1": None}), {"1": "x"}, tmp_path, trailers(server, extractors=["youtube", "youtube:search"]))

    assert states(tmp_path) == {"1": "dead"}
    assert not server.requests


# yt-dlp's messages for YouTube's answers.
MESSAGES = [
    ("Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or --cookies", "failed", True),
    (
        "Video unavailable. This content isn't available, try again later. The current session has been rate-limited "
        "by YouTube for up to an hour.",
        "failed",
        True,
    ),
    ("Unable to download API page: HTTP Error 429: Too Many Requests", "failed", True),
    ("unable to download video data: HTTP Error 403: Forbidden", "failed", True),
    ("Sign in. YouTube is requiring a captcha challenge before playback", "failed", True),
    ("Sign in to confirm your age. This video may be inappropriate for some users.", "refused", False),
    ("Private video. Sign in if you've been granted access to this video", "refused", False),
    ("Join this channel to get access to members-only content", "refused", False),
    ("This video requires payment to watch", "refused", False),
    ("This video is DRM protected", "refused", False),
    ("Video unavailable", "dead", False),
    (
        "Video unavailable. This video is no longer available because the YouTube account has been terminated.",
        "dead",
        False,
    ),
    ("This video has been removed by the uploader", "dead", False),
    ("The uploader has not made this video available in your country", "dead", False),
    ("Video unavailable. It contains content from X, who has blocked it on copyright grounds", "dead", False),
    ("This live event will begin in 3 hours.", "dead", False),
    ("Premieres in 2 days", "dead", False),
    ("This live event has ended.", "dead", False),
    ("This live stream recording is not available.", "dead", False),
    ("Incomplete YouTube ID abc. URL looks truncated.", "dead", False),
    ("Requested format is not available. Use --list-formats for a list of available formats", "failed", False),
    ("Unable to download webpage: The read operation timed out", "failed", False),
    ("Something that nobody has seen before", "failed", False),
]


@pytest.mark.parametrize(("message", "state", "blocked"), MESSAGES)
def test_each_message_of_youtube_gives_a_state(message: str, state: str, blocked: bool) -> None:
    found = rejection_of(DownloadError(f"ERROR: [youtube] dQw4w9WgXcQ: {message}"))

    assert (found.state, isinstance(found, Blocked)) == (state, blocked)


def test_the_settings_name_youtube_and_its_search() -> None:
    row = read_params(PARAMS).crawl.trailers

    assert row.url.replace("{id}", "dQw4w9WgXcQ") == "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    assert row.search == "ytsearch{hits}:{title} trailer"
    assert (row.hits, row.max_height) == (3, 360)
