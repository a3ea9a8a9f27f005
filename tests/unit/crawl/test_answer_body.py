"""The content of an answer is bounded, before and after its expansion."""

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import target
from mmsrec.crawl.request import Fetcher, Redirect
from tests.servers import Reply, Server
from tests.unit.crawl.examples import picture, policy

PICTURE = picture()
LIMIT = 5_000_000
Serve = Callable[..., Server]


def fetched(server: Server, **changes: object) -> bytes | Redirect | str:
    """The body or the redirect of the path /x, or the state and the reason of its rejection."""
    patience = {"read_timeout": 20.0, "total_timeout": 60.0}
    try:
        return Fetcher(policy(**patience | {"respect_robots": False} | changes)).media(target(server.url("/x")))
    except Rejected as rejected:
        return f"{rejected.state}: {rejected.reason}"


DAMAGED = "failed: the content encoding is damaged"
UNKNOWN = "undecodable: the content encoding was not requested and is not supported"


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("gzip", gzip.compress(PICTURE), PICTURE),
        ("GZIP", gzip.compress(PICTURE), PICTURE),
        ("x-gzip", gzip.compress(PICTURE) + b"\0" * 99, PICTURE),
        ("deflate", zlib.compress(PICTURE), PICTURE),
        ("identity, ", PICTURE, PICTURE),
        ("", PICTURE, PICTURE),
        ("gzip", gzip.compress(PICTURE)[:-9], DAMAGED),
        ("gzip", PICTURE, DAMAGED),
        ("gzip", b"", b""),
        ("gzip, gzip", gzip.compress(gzip.compress(PICTURE)), UNKNOWN),
        ("br", b"x", UNKNOWN),
        ("\xff", PICTURE, UNKNOWN),
        # Empty blocks without end: bytes arrive, and nothing comes out of them.
        ("gzip", gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * 1_500_000, DAMAGED),
    ],
)
def test_one_encoding_is_expanded(serve: Serve, encoding: str, body: bytes, expected: bytes | str) -> None:
    server = serve({"/x": Reply(body, headers={"Content-Encoding": encoding}, no_length=True)})

    assert fetched(server) == expected


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(PICTURE + bytes(60_000_000)), {"Content-Encoding": "gzip"}),
        (PICTURE + bytes(20_000_000), {}),
    ],
)
def test_expanded_content_is_bounded(serve: Serve, body: bytes, headers: dict[str, str]) -> None:
    server = serve({"/x": Reply(body, headers=headers, no_length=True)})
    tracemalloc.start()
    found = fetched(server)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found == f"oversize: more than {LIMIT} bytes sent"
    assert peak < 4 * LIMIT


TWICE = gzip.compress(gzip.compress(bytes(50_000_000)))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(TWICE, status=302, headers={"Location": "/y", "Content-Encoding": "gzip, gzip"}),
        Reply(bytes(20_000_000), status=302, headers={"Location": "/y"}),
        Reply(b"x" * 50, status=302, headers={"Location": "/y"}, length=90),
        Reply(b"x" * 50, status=302, headers={"Location": "/y"}, drop_after=10),
    ],
)
def test_the_body_of_a_redirect_does_not_count(serve: Serve, reply: Reply) -> None:
    server = serve({"/x": reply})
    start = time.process_time()

    assert fetched(server, read_timeout=0.5) == Redirect(server.url("/y"), 302)
    assert time.process_time() - start < 2


def test_a_short_body_of_a_redirect_leaves_the_connection_open(serve: Serve) -> None:
    server = serve({"/x": Reply(b"moved", status=302, headers={"Location": "/y"})})
    fetcher = Fetcher(policy(respect_robots=False))
    for _ in range(5):
        fetcher.media(target(server.url("/x")))

    (session,) = fetcher._sessions.values()
    (pool,) = {session.get_adapter(server.url("/x"))._pool}
    assert pool.num_connections == 1


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/\xff", None),
        ("/\xc3\xa9", None),
        ("http://[::1", "dead: the redirect's target is no URL"),
        ("http://[v1.x]/", None),
    ],
)
def test_a_location_is_a_redirect_or_this_item_s_failure(serve: Serve, location: str, expected: str | None) -> None:
    server = serve({"/x": Reply(status=302, headers={"Location": location})})
    found = fetched(server)

    assert isinstance(found, Redirect) if expected is None else found == expected


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=302, headers={"Location": "http://[::1"}), "robots.txt: the redirect's target is no URL"),
        (Reply(status=302, headers={"Location": "ftp://a.example/"}), "not an http or https URL"),
        (Reply(status=302, headers={"Location": "http://a.example:x/"}), "not a well-formed URL"),
        (Reply(b"x", headers={"Content-Encoding": "br"}), "robots.txt: the content encoding was not requested"),
        (Reply(b"HTTP/1.1 abc\r\n\r\n", raw=True), "robots.txt: the connection was lost"),
    ],
)
def test_a_robots_txt_that_cannot_be_read_is_its_host_s_failure(serve: Serve, reply: Reply, reason: str) -> None:
    server = serve({"/x": Reply(PICTURE), "/robots.txt": reply})
    with pytest.raises(Rejected) as caught:
        Fetcher(policy()).media(target(server.url("/x")))

    assert (caught.value.state, caught.value.of_host) == ("failed", True)
    assert caught.value.reason.startswith("robots.txt")
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "endless",
    [b"HTTP/1.1 200 " + b"x", b"HTTP/1.1 200 OK\r\nX: y", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
)
def test_a_line_without_end_is_not_kept(serve: Serve, endless: bytes) -> None:
    server = serve({"/x": Reply(endless + b"0" * 30_000_000, raw=True)})
    tracemalloc.start()
    found = fetched(server)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert str(found).startswith("failed: ")
    assert peak < 2 * LIMIT
