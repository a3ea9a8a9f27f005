"""A web server on loopback that serves a demo world's raw files and media, with their faults."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urljoin
from xml.sax.saxutils import escape

from mmsrec.demo.addresses import HOST, PORT
from mmsrec.demo.faults import ANSWERS, RAW_FAULTS, WHOLE, Answer
from mmsrec.demo.media_files import FAULTS, FOLDER, SEARCH, search_key
from mmsrec.errors import DemoError
from mmsrec.files import read_json

logger = logging.getLogger(__name__)

FILE = re.compile(r"/((?:images|trailers|clips)/[A-Za-z0-9_-]{1,64}(\.jpg|\.mp4))", re.ASCII)
RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})", re.ASCII)
RAW = re.compile(r"/(demo/[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(?:csv|zip|json|json\.gz))", re.ASCII)
RAW_TYPE = "application/octet-stream"
TYPES = {".jpg": "image/jpeg", ".mp4": "video/mp4"}
NOTHING = Answer(404, body=b"")
STEP_SECONDS = 0.1  # pause between the parts of a slow answer
IDLE_SECONDS = 30  # silence after which the server closes a connection

# A search also finds the whole film, which is longer than any trailer.
WHOLE_FILM_SECONDS = 5400
ITUNES = "http://www.itunes.com/dtds/podcast-1.0.dtd"


class MediaServer(ThreadingHTTPServer):
    """The server for one mirror; `serving` starts and stops it.

    Args:
        mirror: a folder from make_demo.py.
        port: the port to listen at; 0 for any free port.

    Raises:
        ArtifactError: the folder holds no media.
        DemoError: another program listens at the port.
    """

    request_queue_size = 128

    def __init__(self, mirror: Path, port: int) -> None:
        self.mirror, self.folder = mirror, mirror / FOLDER
        self.faults: dict[str, str] = {**read_json(self.folder / FAULTS), **RAW_FAULTS}
        self.searches: dict[str, list[str]] = read_json(self.folder / SEARCH)
        self.closing = threading.Event()
        self._turns: Counter[str] = Counter()
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise DemoError(
                "The server of the demo cannot start.",
                where=f"{HOST}:{port}",
                found=error,
                fix=f"End the program that listens at this port (ss -ltnp 'sport = :{port}'); the demo's links need "
                "the port.",
            ) from error
        self.base = f"http://{HOST}:{self.server_port}"

    def answer_to(self, path: str) -> Answer:
        """The next answer for the file at `path`."""
        answers = ANSWERS.get(self.faults.get(path), (WHOLE,))
        with self._lock:
            turn = min(self._turns[path], len(answers) - 1)
            self._turns[path] += 1
        return answers[turn]

    def robots(self, _query: str) -> bytes:
        """The file robots.txt, which disallows the files with the fault `forbidden`."""
        forbidden = [path for path, fault in self.faults.items() if fault == "forbidden"]
        return "\n".join(["User-agent: *", *(f"Disallow: /{path}$" for path in forbidden), ""]).encode()

    def search(self, query: str) -> bytes:
        """A feed of the hits for the title `q`: a whole film, which is too long, then the trailers."""
        title = " ".join(parse_qs(query).get("q", []))
        pages = self.searches.get(search_key(title), [])
        hits = [("/films/whole.mp4", WHOLE_FILM_SECONDS)] * bool(pages) + [(page, None) for page in pages]
        items = "".join(_item(title, urljoin(self.base, page), seconds) for page, seconds in hits)
        return (
            f'<?xml version="1.0"?><rss version="2.0" xmlns:itunes="{ITUNES}"><channel><title>{escape(title)}</title>'
            f"{items}</channel></rss>"
        ).encode()

    def handle_error(self, request: object, client_address: object) -> None:
        """Logs the error of one request; the server goes on."""
        logger.debug("a request failed", exc_info=True)


def _item(title: str, url: str, seconds: int | None) -> str:
    duration = f"<itunes:duration>{seconds}</itunes:duration>" if seconds else ""
    return f'<item><title>{escape(title)}</title><enclosure url="{escape(url)}" type="video/mp4"/>{duration}</item>'


PAGES: dict[str, tuple[str, Callable[[MediaServer, str], bytes]]] = {
    "/robots.txt": ("text/plain; charset=utf-8", MediaServer.robots),
    "/search": ("application/rss+xml", MediaServer.search),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body are two writes; the second must not wait for the client's acknowledgement.
    disable_nagle_algorithm = True
    server: MediaServer

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path in PAGES:
            kind, page = PAGES[path]
            self._send(WHOLE, page(self.server, query), kind)
        elif match := FILE.fullmatch(path):
            self._send_file(self.server.folder, match[1], TYPES[match[2]])
        elif match := RAW.fullmatch(path):
            self._send_file(self.server.mirror, match[1], RAW_TYPE)
        else:
            self._send(NOTHING, b"", "text/plain")

    do_HEAD = do_GET

    def _send_file(self, folder: Path, path: str, kind: str) -> None:
        try:
            content = (folder / path).read_bytes()
        except FileNotFoundError:
            self._send(NOTHING, b"", "text/plain")
        else:
            self._send(self.server.answer_to(path), content, kind)

    def _send(self, answer: Answer, content: bytes, kind: str) -> None:
        body = content if answer.body is None else answer.body
        body = body[: round(len(body) * answer.part)] + bytes(answer.padding)
        version = f'"{sha256(body).hexdigest()[:16]}"'
        status, headers, body = self._requested_part(answer.status, body)
        self.send_response(status)
        usual = {"Content-Type": kind, "Content-Length": len(body), "ETag": version}
        for name, value in {**usual, **headers, **answer.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self._write(body[: round(len(body) * answer.cut)], answer.seconds)
        self.close_connection |= answer.cut < 1

    def _requested_part(self, status: int, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The part that a Range header names (RFC 9110, 14.2); the whole body for several or invalid ranges."""
        requested = RANGE.fullmatch(self.headers.get("Range", ""))
        if status != 200 or not requested:
            return status, {"Accept-Ranges": "bytes"}, body
        first, last = int(requested[1]), min(int(requested[2] or len(body)), len(body) - 1)
        if first >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        if last < first:
            return status, {"Accept-Ranges": "bytes"}, body
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(body)}"}, body[first : last + 1]

    def _write(self, body: bytes, seconds: float) -> None:
        size = max(1, round(len(body) * STEP_SECONDS / seconds)) if seconds else max(1, len(body))
        for start in range(0, len(body), size):
            if start and self.server.closing.wait(STEP_SECONDS):
                self.close_connection = True
                return
            self.wfile.write(body[start : start + size])

    def log_message(self, form: str, *values: object) -> None:
        logger.debug(form, *values)


@contextmanager
def serving(mirror: Path, port: int = PORT) -> Iterator[str]:
    """Serves a mirror while the block runs; yields the base URL. Errors as in `MediaServer`."""
    with MediaServer(mirror, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.base
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
