"""A server whose answers are drawn from a seed: malformed, endless, slow or cut, as a hostile web may send them."""

import gzip
import random
import socket
import socketserver
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tests.unit.crawl.examples import picture

PICTURE = picture()
NO_LINGER = struct.pack("ii", 1, 0)
ENDLESS = 3_000_000  # bytes after which an endless answer ends all the same
STALL_SECONDS = 2.0
TWICE = gzip.compress(gzip.compress(bytes(20_000_000)))

STATUS_LINES = [
    *[f"HTTP/1.1 {status} X" for status in (*(200,) * 20, 301, 302, 303, 307, 308, 300, 304, 404, 410, 429, 503)],
    *[
        "HTTP/1.0 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.1 206 Partial",
        "HTTP/1.1 204 None",
        "HTTP/1.1 103 Early",
        "ICY 200 OK",
    ],
    *[
        "HTTP/1.1 999 X",
        "HTTP/1.1 099 X",
        "HTTP/1.1 abc",
        "HTTP/9.9 200 OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1  ",
        "",
        "\0",
    ],
    "HTTP/1.1 200 " + "x" * 70_000,
    "HTTP/1.1 100 Continue\r\n\r\n" * 50 + "HTTP/1.1 200 OK",
]
LOCATIONS = [
    *[
        "/ok",
        "/robots.txt",
        "?again",
        "",
        "#",
        "//",
        "///",
        "/\xff",
        "/\xc3\xa9",
        "/ok\0",
        "\t/ok ",
        "http://h.example/ok",
    ],
    *[
        "http://[::1",
        "http://[::1]:0/",
        "http://[v1.x]/",
        "http://h.example:99999/",
        "http://h.example:x/",
        "http:///ok",
    ],
    *[
        "https://h.example/ok",
        "ftp://h.example/ok",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://u:p@h.example/",
    ],
    *[
        "http://127.0.0.2/ok",
        "http://\xff\xfe/",
        "http://xn--/",
        "http://h..example/",
        "http://" + "a" * 300 + ".example/",
    ],
    *[
        "http://h.example\\@x/",
        "http://%zz/",
        "/%zz%",
        "http://*/",
        "http://1.2.3.4.5/",
        "http://0x7f.1/",
        "//[",
        "a:b:c",
    ],
    *["/" + "x" * 60_000, "/../" * 1000, "http://h.example:\u00b2/".encode().decode("latin-1")],
]
HEADERS: dict[str, list[str]] = {
    "Location": LOCATIONS,
    "Content-Length": ["0", "5", "-1", "x", "5, 6", "5, 5", "9" * 5000, "1_0", "\xb2", "99999999999", "", " 7 ", "+3"],
    "Content-Encoding": [
        "gzip",
        "gzip, gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "identity",
        ",",
        "x-gzip",
        "\xff",
        "a" * 9999,
    ],
    "Transfer-Encoding": ["chunked", "gzip, chunked", "Chunked ", "identity", "x", ""],
    "X-Robots-Tag": ["noai", "none, " * 1000, "mmsrec: noindex", ":", "\xff\xfe", "unavailable_after: x"],
    "Retry-After": [
        "0",
        "1",
        "-1",
        "x",
        "9" * 5000,
        "Wed, 99 Foo 2020 25:61:61 GMT",
        "Mon, 01 Jan 9999 00:00:00 -9999",
        ",",
    ],
    "Set-Cookie": ["a=b", "=", "a=b; expires=x; Max-Age=9e9", 'a=b; domain=.; port="x', "\xff=\xfe", ";" * 5000],
    "Content-Type": ["image/jpeg", "text/html; charset=\xff", 'a/b; charset="', ";" * 1000, "text/html;charset=utf-7"],
    "Connection": ["close", "keep-alive", "upgrade", "x"],
    "Content-Range": ["bytes 0-1/2", "x"],
    "Content-Location": ["http://[::1"],
}
STRANGE_LINES = [
    "no colon",
    ": empty",
    " folded",
    "\tfolded",
    "a b: c",
    "X: \0",
    "X\xff: y",
    "X: " + "y" * 70_000,
    "\rX: y",
]


def answer(draw: random.Random) -> Iterator[bytes | float]:
    """Yields the parts of one answer. A number is a pause in seconds."""
    head = [draw.choice(STATUS_LINES)]
    for name in draw.choices(list(HEADERS), k=draw.choice((0, 1, 2, 3, 5))):
        head.append(f"{draw.choice((name, name.lower()))}:{draw.choice(HEADERS[name])}")
    if draw.random() < 0.5 and any(f" 30{digit}" in head[0] for digit in "12378"):
        head.append(f"Location: {draw.choice(LOCATIONS)}")
    if draw.random() < 0.15:
        head.insert(draw.randrange(1, len(head) + 1), draw.choice(STRANGE_LINES))
    if draw.random() < 0.03:
        head += [f"X-{number}: y" for number in range(150)]
    body = draw.choice(BODIES)(draw)
    if draw.random() < 0.4:
        head.append(f"Content-Length: {len(body)}")
    content = "\r\n".join(head).encode("latin-1", "replace") + draw.choice((b"\r\n\r\n",) * 9 + (b"\n\n", b"\r\n"))
    content += body
    if draw.random() < 0.08:
        content = content[: draw.randrange(len(content))]
    if draw.random() < 0.05:
        content = (
            bytes(byte if draw.random() > 0.02 else draw.randrange(256) for byte in content[:5000]) + content[5000:]
        )
    cut = sorted(draw.randrange(len(content) + 1) for _ in range(draw.choice((0, 0, 0, 1, 3))))
    for start, end in zip([0, *cut], [*cut, len(content)], strict=True):
        yield content[start:end]
        yield draw.choice((0.0, 0.0, 0.005, 0.02))
    if draw.random() < 0.05:
        yield STALL_SECONDS
    if draw.random() < 0.08:
        filler = draw.choice(
            (bytes(65536), b"a" * 65536, b"\r\n" * 32768, b"X: y\r\n" * 10_000, b"1\r\nx\r\n" * 10_000)
        )
        yield from (filler for _ in range(ENDLESS // len(filler)))


def _chunked(draw: random.Random) -> bytes:
    size = draw.choice((f"{len(PICTURE):x}", f"{len(PICTURE):x};a=b", "-5", "zz", "", "F" * 20, "0", "f" * 70_000))
    end = draw.choice(("\r\n0\r\n\r\n", "", "\r\n0\r\nX: y\r\n\r\n", "\r\n0\r\n" + "X: y\r\n" * 5000, "0"))
    return size.encode() + b"\r\n" + PICTURE + end.encode()


BODIES: list[Callable[[random.Random], bytes]] = [
    lambda draw: PICTURE,
    lambda draw: PICTURE,
    lambda draw: b"",
    lambda draw: PICTURE[: draw.randrange(len(PICTURE))],
    lambda draw: draw.randbytes(draw.randrange(3000)),
    lambda draw: gzip.compress(PICTURE),
    lambda draw: gzip.compress(PICTURE)[: draw.randrange(200)],
    lambda draw: zlib.compress(PICTURE),
    lambda draw: TWICE,
    lambda draw: gzip.decompress(TWICE),
    lambda draw: b"User-agent: *\nDisallow: " + draw.choice((b"/", b"/x*$", b"\xff", b"", b"/*" * 9999)),
    _chunked,
    _chunked,
]


class _Handler(socketserver.BaseRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        self.request.settimeout(STALL_SECONDS)
        try:
            while path := self._path():
                self._answer(path)
        except OSError:
            pass

    def _path(self) -> str:
        received = b""
        while b"\r\n\r\n" not in received:
            part = self.request.recv(65536)
            if not part:
                return ""
            received += part
        return (
            received.split(b" ", 2)[1].decode("latin-1") + "|" + received.lower().partition(b"host: ")[2][:40].decode()
        )

    def _answer(self, path: str) -> None:
        if path.startswith("/robots.txt|h."):
            self.request.sendall(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
            return
        if path.startswith("/ok|"):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PICTURE), PICTURE))
            return
        draw = random.Random(f"{self.server.seed} {path.partition(':')[0]}")
        for part in answer(draw):
            if isinstance(part, float):
                self.server.closing.wait(part)
            else:
                self.request.sendall(part)
                self.server.sent += len(part)
        if draw.random() < 0.1:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        if draw.random() < 0.8:
            raise ConnectionAbortedError


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sent = 0
        self.closing = Event()
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def hostile_server(seed: int) -> Iterator[int]:
    """Serves drawn answers and yields the port. The answer depends on the seed, the path and the host name."""
    with _Server(seed) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
