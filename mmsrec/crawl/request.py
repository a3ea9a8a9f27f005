"""One request under a policy: its status judged, its body read within the bounds."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urljoin

import requests
import urllib3

from mmsrec.crawl import robots
from mmsrec.crawl.http import limited, new_session
from mmsrec.crawl.media_kinds import PICTURES, Kind
from mmsrec.crawl.outcome import Rejected
from mmsrec.crawl.picture_check import HEAD_BYTES
from mmsrec.crawl.policy import Origin, Target, agent_name, opted_out, target
from mmsrec.settings.crawling import Crawl
from mmsrec.sources.backoff import retry_after

OK = 200
TOO_MANY_REQUESTS = 429
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Statuses of the client-error class that ask for another try: timeout, too early, too many requests.
TRANSIENT = frozenset({408, 425, TOO_MANY_REQUESTS})
OPEN_HOSTS = 256
CHUNK = 65536
ROBOTS_REDIRECTS = 5


class Redirect(NamedTuple):
    """Where an answer sends the client."""

    url: str
    status: int


class Fetcher:
    """Requests to any number of hosts, one session for each; safe to use from many threads."""

    def __init__(self, policy: Crawl, kind: Kind = PICTURES) -> None:
        self._policy = policy
        self._kind = kind
        # Given in full, so that requests does not work them out anew for each request.
        self._options = {
            "stream": True,
            "allow_redirects": False,
            "timeout": (policy.connect_timeout, policy.read_timeout),
            "proxies": {},
            "verify": True,
            "cert": None,
        }
        self._agent = agent_name(policy.user_agent)
        self._sessions: OrderedDict[Origin, requests.Session] = OrderedDict()
        self._lock = threading.Lock()
        self._robots = robots.Robots(self._agent, self._robots_text)

    def media(self, wanted: Target) -> bytes | Redirect:
        """The body that `wanted` answers with, if it starts as media of the kind do.

        Raises:
            Rejected: with the ledger's state for what came instead.
        """
        if self._policy.respect_robots:
            self._robots.check(wanted)
        with self._answer(wanted) as answer:
            if redirect := _redirect(answer, wanted):
                return redirect
            if answer.status_code != OK:
                raise _judged(answer)
            tags = answer.raw.headers.getlist("X-Robots-Tag")
            if self._policy.respect_opt_out and (directive := opted_out(tags, self._agent)):
                raise Rejected("refused", f"X-Robots-Tag: {directive}", status=OK)
            return _body(answer, self._policy.max_bytes, self._kind)

    def close(self) -> None:
        """Closes every connection."""
        for session in self._sessions.values():
            session.close()

    def _robots_text(self, origin: Origin) -> str:
        """As RFC 9309, 2.3.1 has it: no such file allows all, a server that fails allows nothing for now."""
        try:
            return self._published_robots(target(origin.url(robots.PATH)))
        except Rejected as rejected:
            if rejected.state == "failed":
                rejected.reason = f"robots.txt: {rejected.reason}"
                rejected.of_host = True
            raise

    def _published_robots(self, wanted: Target) -> str:
        for _ in range(ROBOTS_REDIRECTS + 1):
            with self._answer(wanted) as answer:
                if redirect := _redirect(answer, wanted):
                    wanted = target(redirect.url)
                    continue
                if answer.status_code == OK:
                    return b"".join(_chunks(answer, robots.MAX_BYTES)).decode("utf-8", errors="replace")
                if answer.status_code == TOO_MANY_REQUESTS or answer.status_code >= 500:
                    raise _judged(answer)
                return ""
        return ""

    @contextmanager
    def _answer(self, wanted: Target) -> Iterator[requests.Response]:
        with limited(self._policy):
            try:
                session = self._session(wanted.origin)
                wanted.request.headers = session.headers
                with session.send(wanted.request, **self._options) as answer:
                    yield answer
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise Rejected("failed", _reason(error)) from error

    def _session(self, origin: Origin) -> requests.Session:
        with self._lock:
            session = self._sessions.get(origin) or new_session(self._policy)
            self._sessions[origin] = session
            self._sessions.move_to_end(origin)
            idle = self._sessions.popitem(last=False)[1] if len(self._sessions) > OPEN_HOSTS else None
        if idle:
            idle.close()
        return session


def _redirect(answer: requests.Response, wanted: Target) -> Redirect | None:
    location = answer.headers.get("Location")
    if answer.status_code not in REDIRECTS or not location:
        return None
    # http.client reads headers as Latin-1; servers that send a bare path in UTF-8 are common.
    location = location.encode("latin-1").decode("utf-8", errors="replace")
    try:
        return Redirect(urljoin(wanted.url, location), answer.status_code)
    except ValueError as error:
        raise Rejected("dead", "the redirect's target is no URL", status=answer.status_code) from error


def _judged(answer: requests.Response) -> Rejected:
    status = answer.status_code
    again = status in TRANSIENT or status >= 500
    return Rejected("failed" if again else "dead", f"HTTP status {status}", status=status, pause=_pause(answer))


def _pause(answer: requests.Response) -> float | None:
    return retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))


def _body(answer: requests.Response, max_bytes: int, kind: Kind) -> bytes:
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise Rejected("oversize", f"more than {max_bytes} bytes announced", status=OK)
    body = bytearray()
    for chunk in _chunks(answer, max_bytes + 1):
        known = len(body) >= HEAD_BYTES
        body += chunk
        if not known and len(body) >= HEAD_BYTES and kind.sniff(body[:HEAD_BYTES]) is None:
            raise Rejected("undecodable", f"the answer is not a {kind.name}", status=OK)
    if len(body) > max_bytes:
        raise Rejected("oversize", f"more than {max_bytes} bytes sent", status=OK)
    return bytes(body)


def _chunks(answer: requests.Response, limit: int) -> Iterator[bytes]:
    """The body as it arrives, up to `limit` bytes."""
    left = limit
    while left and (chunk := answer.raw.read1(min(CHUNK, left), decode_content=True)):
        left -= len(chunk)
        yield chunk


def _reason(error: BaseException) -> str:
    """A sentence for a failed exchange; the libraries' own texts hold ports and addresses of objects."""
    for kinds, reason in REASONS:
        if isinstance(error, kinds):
            return reason
    return f"the exchange failed: {type(error).__name__}"


REASONS = (
    (requests.exceptions.SSLError, "the TLS certificate or handshake failed"),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "the server did not send in time"),
    ((urllib3.exceptions.DecodeError,), "the content encoding is damaged"),
    ((requests.ConnectionError, urllib3.exceptions.ProtocolError, OSError), "the connection broke off"),
)
