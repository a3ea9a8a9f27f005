"""A web server on loopback. Each answer is data and may be faulty. The server records its requests."""

import re
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Lock, Thread

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        body: the bytes of the answer. If `status` is 200 and `ranges` is true, a Range request gets its part of them.
        status: HTTP status.
        headers: these replace the default headers of the same name.
        length: a false Content-Length; None means the true one.
        no_length: sends no Content-Length. The end of the connection ends the body.
        drop_after: number of bytes of the body after which the connection is closed.
        chunk, pause: size of a chunk in bytes, and seconds between two chunks.
        delay: seconds before the status line.
        ranges: whether the server supports Range requests.
        raw: whether the body is the whole answer, with status line and headers.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    no_length: bool = False
    drop_after: int | None = None
    chunk: int = 1 << 16
    pause: float = 0
    delay: float = 0
    ranges: bool = True
    raw: bool = False


@dataclass(frozen=True)
class Request:
    """A request of a client, and the status of its answer."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int
    time: float


class _Http(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Logs nothing about clients that close the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Server:
    """A server as a context manager. `routes` maps a path to its answers in order.

    The last answer of a path repeats. Other paths get 404.
    """

    def __init__(self, routes: Mapping[str, Reply | Sequence[Reply]], tls: SSLContext | None = None) -> None:
        self.routes = {path: [replies] if isinstance(replies, Reply) else replies for path, replies in routes.items()}
        self.requests: list[Request] = []
        self.closing = False
        self._served: defaultdict[str, int] = defaultdict(int)
        self._lock = Lock()
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def url(self, path: str) -> str:
        """The URL of a path."""
        return self.base + path

    def asked(self, path: str) -> list[Request]:
        """The requests for a path so far, in order."""
        with self._lock:
            return [request for request in self.requests if request.path == path]

    def next_reply(self, path: str) -> Reply:
        """Returns the next answer for a path."""
        with self._lock:
            replies = self.routes.get(path, [Reply(b"not here", status=404)])
            turn = min(self._served[path], len(replies) - 1)
            self._served[path] += 1
        return replies[turn]

    def remember(self, request: Request) -> None:
        """Appends to `requests`."""
        with self._lock:
            self.requests.append(request)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing = True
        self._http.shutdown()
        self._http.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply = server.next_reply(self.path)
            status, body, headers = self._answer(reply)
            server.remember(Request(self.command, self.path, dict(self.headers), status, time.monotonic()))
            time.sleep(reply.delay)
            try:
                self._send(reply, status, body, headers)
            except OSError:
                self.close_connection = True

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, reply: Reply) -> tuple[int, bytes, dict[str, str]]:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(reply.body))}
            asked = _RANGE.fullmatch(self.headers.get("Range", ""))
            if not (asked and reply.ranges and reply.status == 200 and self._same_version(reply)):
                return reply.status, reply.body, headers | dict(reply.headers)
            first, total = int(asked[1]), len(reply.body)
            if first >= total:
                gone = {"Content-Range": f"bytes */{total}", "Content-Length": "0"}
                return 416, b"", headers | gone
            body = reply.body[first : int(asked[2]) + 1 if asked[2] else None]
            part = {
                "Content-Range": f"bytes {first}-{first + len(body) - 1}/{total}",
                "Content-Length": str(len(body)),
            }
            return 206, body, headers | part | dict(reply.headers)

        def _same_version(self, reply: Reply) -> bool:
            condition = self.headers.get("If-Range")
            return condition is None or condition in (reply.headers.get("ETag"), reply.headers.get("Last-Modified"))

        def _send(self, reply: Reply, status: int, body: bytes, headers: dict[str, str]) -> None:
            if reply.length is not None:
                headers["Content-Length"] = str(reply.length)
            if reply.no_length:
                del headers["Content-Length"]
            self.close_connection = reply.no_length or reply.length is not None
            if not reply.raw:
                self._send_head(status, headers)
            if self.command == "HEAD":
                return
            end = len(body) if reply.drop_after is None else reply.drop_after
            for start in range(0, min(end, len(body)), reply.chunk):
                if server.closing:
                    break
                self.wfile.write(body[start : min(start + reply.chunk, end)])
                self.wfile.flush()
                time.sleep(reply.pause)
            if reply.drop_after is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def _send_head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    return Handler
