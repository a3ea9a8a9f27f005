"""One URL to one partial file: resumed by Range, bounded in size and time, tried again after transient failures."""

import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

import requests
import urllib3

from mmsrec import __version__
from mmsrec.progress import progress
from mmsrec.sources.backoff import exponential, retry_after
from mmsrec.sources.partial import Origin, Partial

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_TRY_AGAIN = (requests.codes.request_timeout, requests.codes.too_many_requests)
_CONNECTION_LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one download.

    Attributes:
        max_bytes: the largest file that is accepted.
        connect_seconds: longest wait for a connection.
        stall_seconds: longest wait for the next bytes.
        total_seconds: longest time for one URL, pauses included.
        attempts: tries in a row that bring no further byte.
        backoff_seconds: pause after the first failure; doubled with each further one.
        max_pause_seconds: longest pause, whatever the server asks for.
        redirects: longest chain of redirects.
    """

    max_bytes: int = 64 * 2**30
    connect_seconds: float = 20
    stall_seconds: float = 60
    total_seconds: float = 12 * 3600
    attempts: int = 5
    backoff_seconds: float = 1
    max_pause_seconds: float = 300
    redirects: int = 10


class UnavailableError(Exception):
    """This place cannot serve the file; another may."""


class _TransientError(Exception):
    """This try failed; the next may not. `pause` is what the server asks to wait, in seconds."""

    def __init__(self, reason: object, pause: float | None = None) -> None:
        super().__init__(str(reason))
        self.pause = pause


DEFAULT_LIMITS = Limits()


def download(url: str, partial: Partial, limits: Limits = DEFAULT_LIMITS) -> None:
    """Downloads `url` into `partial`, going on from the bytes of this URL that are there already.

    Raises:
        UnavailableError: with the reason, after as many tries as `limits` allows. What arrived stays in `partial`.
    """
    _Transfer(url, partial, limits).run()


class _Transfer:
    def __init__(self, url: str, partial: Partial, limits: Limits) -> None:
        self.url = url
        self.partial = partial
        self.limits = limits
        self.deadline = time.monotonic() + limits.total_seconds

    def run(self) -> None:
        most, failures = self.partial.size, 0
        with requests.Session() as session:
            session.max_redirects = self.limits.redirects
            session.headers.update({"User-Agent": f"mmsrec/{__version__}", "Accept-Encoding": "identity"})
            while True:
                try:
                    return self._attempt(session)
                except _TransientError as error:
                    failures = 1 if self.partial.size > most else failures + 1
                    most = max(most, self.partial.size)
                    self._pause(error, failures)

    def _pause(self, error: _TransientError, failures: int) -> None:
        if failures >= self.limits.attempts:
            raise UnavailableError(f"{error}; gave up at try {failures}") from error
        usual = exponential(failures, self.limits.backoff_seconds, self.limits.max_pause_seconds)
        pause = min(max(usual, error.pause or 0), self.limits.max_pause_seconds)
        if time.monotonic() + pause > self.deadline:
            raise UnavailableError(f"{error}; no time left of {self.limits.total_seconds:g} s") from error
        logger.info("%s: %s; another try in %.1f s", self.url, error, pause)
        time.sleep(pause)

    def _attempt(self, session: requests.Session) -> None:
        origin = self.partial.origin(self.url)
        if origin and origin.total == self.partial.size:
            return
        try:
            with session.get(
                self.url,
                headers=_range_headers(origin, self.partial.size),
                stream=True,
                timeout=(self.limits.connect_seconds, self.limits.stall_seconds),
            ) as response:
                self._receive(response, origin)
        except requests.exceptions.SSLError as error:
            raise UnavailableError(f"TLS: {error}") from error
        except _CONNECTION_LOST as error:
            raise _TransientError(error) from error
        except requests.RequestException as error:
            raise UnavailableError(str(error)) from error

    def _receive(self, response: requests.Response, origin: Origin | None) -> None:
        self._check_status(response, origin)
        _check_content(response, self.partial.destination.name)
        offset = self._check_range(response, origin)
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else None
        if total is not None and total > self.limits.max_bytes:
            raise UnavailableError(f"it announces {total:,} bytes, more than the {self.limits.max_bytes:,} allowed")
        whole = Origin(self.url, _validator(response), total)
        with self.partial.resume() if offset else self.partial.begin(whole) as file:
            size = self._stream(response, file, offset, total)
        if total is not None and size != total:
            raise _TransientError(f"the connection closed after {size:,} of {total:,} bytes")

    def _check_status(self, response: requests.Response, origin: Origin | None) -> None:
        status = response.status_code
        if status == requests.codes.ok or (status == requests.codes.partial_content and origin):
            return
        if status == requests.codes.requested_range_not_satisfiable and origin:
            self.partial.discard()
            raise _TransientError(f"HTTP {status}: the file is shorter than what was received of it")
        reason = f"HTTP {status} {response.reason}"
        if status in _TRY_AGAIN or status >= requests.codes.server_error:
            raise _TransientError(reason, retry_after(response.headers.get("Retry-After"), datetime.now(UTC)))
        raise UnavailableError(reason)

    def _check_range(self, response: requests.Response, origin: Origin | None) -> int:
        """The offset of the answer's first byte: that of the range asked for, or 0 where the answer is the whole."""
        if response.status_code != requests.codes.partial_content:
            return 0
        header = response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(header)
        if not (origin and found and int(found[1]) == self.partial.size and int(found[2]) == origin.total):
            self.partial.discard()
            raise _TransientError(f"it answers with another range than asked for: {header or 'none'}")
        return self.partial.size

    def _stream(self, response: requests.Response, file: BinaryIO, offset: int, total: int | None) -> int:
        size = offset
        name = self.partial.destination.name
        with progress(name, total, unit="B", unit_scale=True, unit_divisor=1024, initial=offset) as bar:
            # read1 returns what has come: read would hold the clock until a dripping server has filled a chunk.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                size += len(chunk)
                if size > self.limits.max_bytes:
                    self.partial.discard()
                    raise UnavailableError(f"it sends more than the {self.limits.max_bytes:,} bytes allowed")
                if time.monotonic() > self.deadline:
                    raise UnavailableError(f"{size:,} bytes came in the {self.limits.total_seconds:g} s allowed")
                file.write(chunk)
                bar.update(len(chunk))
        return size


def _range_headers(origin: Origin | None, size: int) -> dict[str, str]:
    if origin is None:
        return {}
    condition = {"If-Range": origin.validator} if origin.validator else {}
    return {"Range": f"bytes={size}-", **condition}


def _check_content(response: requests.Response, name: str) -> None:
    chain = [hop.url.partition(":")[0] for hop in (*response.history, response)]
    if chain[0] == "https" and "http" in chain:
        raise UnavailableError(f"https leads to http: {response.url}")
    kind = response.headers.get("Content-Type", "")
    # A retired host answers 200 with a page that says so.
    if kind.startswith("text/html") and not name.endswith((".html", ".htm")):
        raise UnavailableError(f"it answers with a web page ({kind}) in place of the file")
    encoding = response.headers.get("Content-Encoding", "identity")
    # Some servers call the compression of a .gz file an encoding; its bytes are wanted as they are.
    if encoding != "identity" and not name.endswith(".gz"):
        raise UnavailableError(f"it answers in the encoding {encoding}, which was not asked for")


def _validator(response: requests.Response) -> str | None:
    """What If-Range may hold: a strong ETag or a date (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")
