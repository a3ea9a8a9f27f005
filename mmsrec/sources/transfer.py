"""Download of one URL to one partial file, with resumption by Range, bounded size and time, and retries."""

import http.client
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, NoReturn
from urllib.parse import urljoin

import requests
import urllib3
from requests.cookies import extract_cookies_to_jar
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from mmsrec import __version__
from mmsrec.progress import progress
from mmsrec.sources.partial import Partial, RemoteFile
from mmsrec.sources.retry_pause import doubled_pause, requested_pause
from mmsrec.urls import without_credentials, without_credentials_in

logger = logging.getLogger(__name__)
# urllib3 warns of malformed headers with their text. A stranger must not write into the user's terminal.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_CHUNK = 1 << 20
# Python refuses to read a number of more than 4,300 digits.
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")
# Characters of a header that a message shows. A stranger wrote it, so it is shown as Python's repr.
LONGEST = 80
_REDIRECTS = (301, 302, 303, 307, 308)
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
        max_bytes: largest size of the file.
        connect_seconds: longest wait for a connection.
        stall_seconds: longest wait for the next bytes.
        total_seconds: longest time for one URL, pauses included.
        attempts: largest number of consecutive tries that add no byte.
        backoff_seconds: pause after the first failure; doubled after each further failure.
        max_pause_seconds: longest pause. It also bounds the server's Retry-After.
        redirects: largest number of redirects.
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
    """This mirror or URL cannot serve the file. Another one may."""


class _TransientError(Exception):
    """This try failed, but the next try may succeed. `pause` is the server's requested pause, in seconds."""

    def __init__(self, reason: object, pause: float | None = None) -> None:
        super().__init__(str(reason))
        self.pause = pause


DEFAULT_LIMITS = Limits()


def download(url: str, partial: Partial, limits: Limits = DEFAULT_LIMITS) -> None:
    """Downloads `url` into `partial` and resumes after the bytes of this URL that `partial` already has.

    Raises:
        UnavailableError: with the reason, after the tries that `limits` allows. `partial` keeps the received bytes.
    """
    _Transfer(url, partial, limits).run()


class _Transfer:
    def __init__(self, url: str, partial: Partial, limits: Limits) -> None:
        self.url = url
        self.name = without_credentials(url)
        self.partial = partial
        self.limits = limits
        self.deadline = time.monotonic() + limits.total_seconds
        self.largest = partial.size
        self.failures = 0

    def run(self) -> None:
        retrying = Retrying(
            retry=retry_if_exception_type(_TransientError),
            wait=self._pause,
            stop=self._is_over,
            before_sleep=self._announce,
            retry_error_callback=self._give_up,
        )
        with requests.Session() as session:
            session.headers.update({"User-Agent": f"mmsrec/{__version__}", "Accept-Encoding": "identity"})
            retrying(self._attempt, session)

    def _pause(self, state: RetryCallState) -> float:
        """Counts a failure and returns the seconds before the next try. A try that adds bytes resets the count."""
        self.failures = 1 if self.partial.size > self.largest else self.failures + 1
        self.largest = max(self.largest, self.partial.size)
        longest = self.limits.max_pause_seconds
        return max(doubled_pause(self.failures, self.limits.backoff_seconds, longest), _error(state).pause or 0)

    def _is_over(self, state: RetryCallState) -> bool:
        return self.failures >= self.limits.attempts or time.monotonic() + state.upcoming_sleep > self.deadline

    def _announce(self, state: RetryCallState) -> None:
        logger.info("%s: %s; next try in %.1f s", self.name, _error(state), state.upcoming_sleep)

    def _give_up(self, state: RetryCallState) -> NoReturn:
        error = _error(state)
        if self.failures >= self.limits.attempts:
            raise UnavailableError(f"{error}; gave up at try {self.failures}") from error
        raise UnavailableError(f"{error}; no time left of {self.limits.total_seconds:g} s") from error

    def _attempt(self, session: requests.Session) -> None:
        source = self.partial.source(self.name)
        if source and source.total == self.partial.size:
            return
        try:
            with self._answer(session, _range_headers(source, self.partial.size)) as response:
                self._receive(response, source)
        except requests.exceptions.SSLError as error:
            raise UnavailableError(f"TLS: {error}") from error
        except _CONNECTION_LOST as error:
            raise _TransientError(without_credentials_in(str(error))) from error
        # A ValueError comes from a server's header, for example from a redirect to what is no URL.
        except (requests.RequestException, http.client.HTTPException, ValueError) as error:
            raise UnavailableError(without_credentials_in(str(error))) from error

    def _answer(self, session: requests.Session, headers: Mapping[str, str]) -> requests.Response:
        """Follows the redirects and returns the last answer, whose body is not read yet.

        The adapters send the requests. The session's own `send` would read the whole body of each redirect.
        """
        url = self.url
        for _ in range(self.limits.redirects + 1):
            request = session.prepare_request(requests.Request("GET", url, headers))
            options = session.merge_environment_settings(request.url, {}, True, None, None)
            timeout = (self.limits.connect_seconds, self.limits.stall_seconds)
            response = session.get_adapter(request.url).send(request, timeout=timeout, **options)
            extract_cookies_to_jar(session.cookies, request, response.raw)
            location = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not location:
                return response
            response.close()
            # http.client decodes headers as Latin-1, but many servers send the path in UTF-8.
            url = urljoin(url, location.encode("latin-1").decode("utf-8", errors="replace"))
            if self.url.startswith("https:") and not url.startswith("https:"):
                scheme = url.partition(":")[0]
                raise UnavailableError(f"https redirects to {scheme}: {without_credentials(url)}")
        raise UnavailableError(f"more than {self.limits.redirects} redirects")

    def _receive(self, response: requests.Response, source: RemoteFile | None) -> None:
        self._check_status(response, source)
        _check_content(response, self.partial.destination.name)
        offset = self._check_range(response, source)
        length = response.headers.get("Content-Length", "")
        total = offset + int(length[:20]) if length.isdecimal() else None
        if total is not None and total > self.limits.max_bytes:
            raise UnavailableError(f"it announces {total:,} bytes, more than the {self.limits.max_bytes:,} allowed")
        whole = RemoteFile(self.name, _validator(response), total)
        with self.partial.resume() if offset else self.partial.begin(whole) as file:
            size = self._stream(response, file, offset, total)
        if total is not None and size != total:
            raise _TransientError(f"the connection closed after {size:,} of {total:,} bytes")

    def _check_status(self, response: requests.Response, source: RemoteFile | None) -> None:
        status = response.status_code
        if status == requests.codes.ok or (status == requests.codes.partial_content and source):
            return
        if status == requests.codes.requested_range_not_satisfiable and source:
            self.partial.discard()
            raise _TransientError(f"HTTP {status}: the file is shorter than its received part")
        reason = f"HTTP {status} {http.client.responses.get(status, '')}".rstrip()
        if status in _TRY_AGAIN or status >= requests.codes.server_error:
            pause = requested_pause(response.headers.get("Retry-After"), self.limits.max_pause_seconds)
            raise _TransientError(reason, pause)
        raise UnavailableError(reason)

    def _check_range(self, response: requests.Response, source: RemoteFile | None) -> int:
        """The offset of the answer's first byte: 0 if the answer is the whole file."""
        if response.status_code != requests.codes.partial_content:
            return 0
        header = response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(header)
        if not (source and found and int(found[1]) == self.partial.size and int(found[2]) == source.total):
            self.partial.discard()
            raise _TransientError(f"the answer has another range than the requested one: {header[:LONGEST]!r}")
        return self.partial.size

    def _stream(self, response: requests.Response, file: BinaryIO, offset: int, total: int | None) -> int:
        size = offset
        name = self.partial.destination.name
        with progress(name, total, unit="B", unit_scale=True, unit_divisor=1024, initial=offset) as bar:
            # read1 returns the bytes that have arrived. read would wait for a full chunk, so the deadline would be
            # checked too late.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                size += len(chunk)
                if size > self.limits.max_bytes:
                    self.partial.discard()
                    raise UnavailableError(f"it sends more than the {self.limits.max_bytes:,} bytes allowed")
                if time.monotonic() > self.deadline:
                    raise UnavailableError(f"{size:,} bytes arrived in the {self.limits.total_seconds:g} s allowed")
                file.write(chunk)
                bar.update(len(chunk))
        return size


def _error(state: RetryCallState) -> _TransientError:
    return state.outcome.exception()


def _range_headers(source: RemoteFile | None, size: int) -> dict[str, str]:
    if source is None:
        return {}
    condition = {"If-Range": source.validator} if source.validator else {}
    return {"Range": f"bytes={size}-", **condition}


def _check_content(response: requests.Response, name: str) -> None:
    kind = response.headers.get("Content-Type", "")
    # Some retired hosts answer 200 with a web page.
    if kind.startswith("text/html") and not name.endswith((".html", ".htm")):
        raise UnavailableError(f"it answers with a web page ({kind[:LONGEST]!r}) in place of the file")
    encoding = response.headers.get("Content-Encoding", "identity")
    # Some servers declare the compression of a .gz file as an encoding. The file is stored without decoding.
    if encoding != "identity" and not name.endswith(".gz"):
        raise UnavailableError(f"it answers in the encoding {encoding[:LONGEST]!r}, which was not requested")


def _validator(response: requests.Response) -> str | None:
    """The value for If-Range: a strong ETag or a date (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")
