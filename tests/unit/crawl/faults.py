"""Faults of a server: its answers, and the expected entry of the ledger for each."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from PIL import Image

from mmsrec.crawl import address_guard
from mmsrec.crawl.images import crawl_images
from tests.servers import Reply, Server
from tests.unit.crawl.examples import picture, policy, urls

ATTEMPTS = 3


@dataclass(frozen=True)
class Fault:
    """A path of the server, its answers in order, and the expected entry of the ledger.

    `hasty` faults get short timeouts. The others get timeouts that a busy machine does not reach.
    """

    name: str
    replies: Sequence[Reply]
    state: str
    attempts: int
    status: int | None = None
    error: str | None = None
    hasty: bool = False


def pixel_bomb(side: int = 60_000) -> bytes:
    """A PNG of a few kilobytes with side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def one_colour() -> bytes:
    """A white JPEG."""
    file = io.BytesIO()
    Image.new("RGB", (60, 90), "white").save(file, "JPEG")
    return file.getvalue()


PICTURE = picture()
BIG = PICTURE + bytes(50_000_000 - len(PICTURE))
TRICKLED_HEAD = b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 1000 + b"\r\n"
HTML = b"<!DOCTYPE html><title>Sorry</title><p>This picture is gone."

FAULTS = (
    Fault("200", [Reply(PICTURE)], "ok", 1, 200),
    Fault("200 chunks without a length", [Reply(PICTURE, no_length=True, chunk=100)], "ok", 1, 200),
    Fault("301 once", [Reply(status=301, headers={"Location": "/200"})], "ok", 1, 200),
    Fault("301 loop", [Reply(status=301, headers={"Location": "/301 loop"})], "dead", 1, 301, "redirects"),
    Fault(
        "301 to another scheme", [Reply(status=301, headers={"Location": "ftp://a.b/c"})], "refused", 1, None, "http"
    ),
    Fault("404", [Reply(status=404)], "dead", 1, 404, "404"),
    Fault("410", [Reply(status=410)], "dead", 1, 410, "410"),
    Fault("429 with Retry-After", [Reply(status=429, headers={"Retry-After": "1"}), Reply(PICTURE)], "ok", 2, 200),
    Fault("500, then 200", [Reply(status=500), Reply(PICTURE)], "ok", 2, 200),
    Fault("500 always", [Reply(status=500)], "failed", ATTEMPTS, 500, "500"),
    Fault("silence", [Reply(PICTURE, delay=3)], "failed", ATTEMPTS, None, "in time", True),
    Fault("slow-loris body", [Reply(PICTURE, chunk=1, pause=0.2)], "failed", ATTEMPTS, None, "in time", True),
    Fault(
        "slow-loris head",
        [Reply(TRICKLED_HEAD, raw=True, chunk=1, pause=0.2)],
        "failed",
        ATTEMPTS,
        None,
        "in time",
        True,
    ),
    Fault("connection lost", [Reply(PICTURE, drop_after=300)], "failed", ATTEMPTS, None, "was lost"),
    Fault("connection lost once", [Reply(PICTURE, drop_after=300), Reply(PICTURE)], "ok", 2, 200),
    Fault("truncated file", [Reply(PICTURE[:-200])], "undecodable", 1, 200, "damaged"),
    Fault("50 MB announced", [Reply(BIG)], "oversize", 1, 200, "bytes announced"),
    Fault("50 MB unannounced", [Reply(BIG, no_length=True)], "oversize", 1, 200, "bytes sent"),
    Fault(
        "HTML as .jpg", [Reply(HTML, headers={"Content-Type": "image/jpeg"})], "undecodable", 1, 200, "not a picture"
    ),
    Fault("nothing", [Reply(b"")], "undecodable", 1, 200, "not a picture"),
    Fault("PNG pixel bomb", [Reply(pixel_bomb())], "undecodable", 1, 200, "pixels"),
    Fault("GIF of one pixel", [Reply(picture("GIF", (1, 1)))], "missing", 1, 200, "placeholder of 1 x 1"),
    Fault("picture of one colour", [Reply(one_colour())], "missing", 1, 200, "one colour"),
    Fault("opt-out header", [Reply(PICTURE, headers={"X-Robots-Tag": "noai"})], "refused", 1, 200, "noai"),
    Fault("robots.txt", [Reply(PICTURE)], "refused", 1, None, "robots.txt"),
    Fault(
        "redirect to a private address",
        [Reply(status=302, headers={"Location": "http://127.0.0.2/picture.jpg"})],
        "refused",
        1,
        None,
        "private",
    ),
)

ROBOTS = Reply(b"User-agent: *\nDisallow: /robots.txt%20\nDisallow: /robots.txt$\nDisallow: /forbidden/\n")


def crawl_faults(server: Server, folder: Path, faults: Sequence[Fault]) -> None:
    """Crawls all these faults at the same time. They must be all hasty or all patient."""
    patience = {} if faults[0].hasty else {"read_timeout": 20.0, "total_timeout": 60.0}
    rules = policy(allow_private=False, attempts=ATTEMPTS, host_concurrency=len(faults), **patience)
    items = urls({fault.name: server.url(path_of(fault)) for fault in faults})
    with loopback_counts_as_public():
        crawl_images(items, folder, rules, connections=len(faults))


def path_of(fault: Fault) -> str:
    """The path at which the server answers with this fault."""
    folder = "/forbidden/" if fault.name == "robots.txt" else "/"
    return folder + fault.name.replace(" ", "%20")


def routes() -> dict[str, Reply | Sequence[Reply]]:
    """The server's routes for all faults."""
    return {path_of(fault): fault.replies for fault in FAULTS} | {"/robots.txt": ROBOTS}


@contextmanager
def loopback_counts_as_public() -> Iterator[None]:
    """Treats 127.0.0.1 as a public address. All other private addresses stay private."""
    real = address_guard.is_public
    with mock.patch.object(address_guard, "is_public", lambda address: address == "127.0.0.1" or real(address)):
        yield
