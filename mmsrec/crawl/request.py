"""One request under a policy: check its status and read its body within the bounds."""

import http.client
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import urljoin

import requests
import urllib3

from mmsrec.crawl import robots
from mmsrec.crawl.answer_body import chunks, drain
from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.http import limited, new_session
from mmsrec.crawl.media_kinds import PICTURES, Kind
from mmsrec.crawl.picture_check import HEAD_BYTES
from mmsrec.crawl.policy import Origin, Target, agent_name, opted_out, target
from mmsrec.settings.crawling import Crawl
from mmsrec.sources.retry_pause import requested_pause

logger = logging.getLogger(__name__)

OK = 200
TOO_MANY_REQUESTS = 429
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Client errors that another try may resolve: request timeout, too early, too many requests.
TRANSIENT = frozenset({408, 425, TOO_MANY_REQUESTS})
OPEN_HOSTS = 256
ROBOTS_REDIRECTS = 5


class Redirect(NamedTuple):
    """The target of a redirect."""

    url: str
    status: int


class Fetcher:
    """Makes requests to many hosts, with one session for each host. Many threads may use it at once."""

    def __init__(self, policy: Crawl, kind: Kind = PICTURES) -> None:
        self._policy = policy
        self._kind = kind
        # All options are given, because requests otherwise computes the missing ones for each request.
        self._options = {
            "stream": True,
            "timeout": (policy.connect_timeout, policy.read_timeout),
            "proxies": {},
            "verify": True,
            "cert": None,
        }
        self._agent = agent_name(policy.user_agent)
        self._sessions: OrderedDict[Origin, requests.Session] = OrderedDict()
        self._lock = threading.Lock()
        self._robots = robots.Robots(self._agent, self._robots_text)

    def media(self, requested: Target) -> bytes | Redirect:
        """Requests media and returns the body, or the redirect.

        Raises:
            Rejected: with the ledger's state, if the answer is anything else.
        """
        if self._policy.respect_robots:
            self._robots.check(requested)
        with self._answer(requested) as answer:
            if redirect := _redirect(answer, requested):
                return redirect
            if answer.status_code != OK:
                raise _status_rejection(answer, self._policy.max_pause)
            tags = answer.raw.headers.getlist("X-Robots-Tag")
            if self._policy.respect_opt_out and (directive := opted_out(tags, self._agent)):
                raise Rejected("refused", f"X-Robots-Tag: {directive}", status=OK)
            return _body(answer, self._policy.max_bytes, self._kind)

    def close(self) -> None:
        """Closes every connection."""
        for session in self._sessions.values():
            session.close()

    def _robots_text(self, origin: Origin) -> str:
        """Follows RFC 9309, section 2.3.1: a missing file allows everything, a failing server nothing for now."""
        url = origin.url(robots.PATH)
        for hop in range(ROBOTS_REDIRECTS + 1):
            try:
                found = self._published_robots(target(url))
            except Rejected as rejected:
                # A host with a private address is refused for itself, not for its robots.txt.
                if rejected.state == "refused" and not hop:
                    raise
                reason = f"robots.txt{', after a redirect' if hop else ''}: {rejected.reason}"
                facts = {"status": rejected.status, "pause": rejected.pause}
                raise Rejected("failed", reason, **facts, of_host=True) from rejected
            if isinstance(found, str):
                return found
            url = found.url
        return ""

    def _published_robots(self, requested: Target) -> str | Redirect:
        with self._answer(requested) as answer:
            if redirect := _redirect(answer, requested):
                return redirect
            if answer.status_code == OK:
                return b"".join(chunks(answer, robots.MAX_BYTES)).decode("utf-8", errors="replace")
            if answer.status_code == TOO_MANY_REQUESTS or answer.status_code >= 500:
                raise _status_rejection(answer, self._policy.max_pause)
            return ""

    @contextmanager
    def _answer(self, requested: Target) -> Iterator[requests.Response]:
        """Sends the request through the adapter. The session's own `send` would read the body of a redirect."""
        with limited(self._policy):
            try:
                session = self._session(requested.origin)
                requested.request.headers = session.headers
                with session.get_adapter(requested.url).send(requested.request, **self._options) as answer:
                    yield answer
            except Rejected:
                raise
            # The libraries parse what a stranger sends. Whatever they raise concerns this item only.
            except Exception as error:
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


def _redirect(answer: requests.Response, requested: Target) -> Redirect | None:
    location = answer.headers.get("Location")
    if answer.status_code not in REDIRECTS or not location:
        return None
    # The redirect counts even if its body does not arrive.
    with suppress(Exception):
        drain(answer)
    try:
        # http.client decodes headers as Latin-1, but many servers send the path in UTF-8.
        location = location.encode("latin-1").decode("utf-8", errors="replace")
        return Redirect(urljoin(requested.url, location), answer.status_code)
    except ValueError as error:
        raise Rejected("dead", "the redirect's target is no URL", status=answer.status_code) from error


def _status_rejection(answer: requests.Response, max_pause: float) -> Rejected:
    status = answer.status_code
    state = "failed" if status in TRANSIENT or status >= 500 else "dead"
    pause = requested_pause(answer.headers.get("Retry-After"), max_pause)
    return Rejected(state, f"HTTP status {status}", status=status, pause=pause)


def _body(answer: requests.Response, max_bytes: int, kind: Kind) -> bytes:
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise Rejected("oversize", f"more than {max_bytes} bytes announced", status=OK)
    body = bytearray()
    for chunk in chunks(answer, max_bytes + 1):
        checked = len(body) >= HEAD_BYTES
        body += chunk
        if not checked and len(body) >= HEAD_BYTES and kind.sniff(body[:HEAD_BYTES]) is None:
            raise Rejected("undecodable", f"the answer is not a {kind.name}", status=OK)
    if len(body) > max_bytes:
        raise Rejected("oversize", f"more than {max_bytes} bytes sent", status=OK)
    return bytes(body)


def _reason(error: BaseException) -> str:
    """A fixed sentence for a failed request. The libraries' own messages contain ports and object addresses."""
    for kinds, reason in REASONS:
        if isinstance(error, kinds):
            return reason
    logger.debug("a request failed in an unknown way", exc_info=error)
    return f"the request failed: {type(error).__name__}"


REASONS = (
    (requests.exceptions.SSLError, "the TLS certificate or handshake failed"),
    ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "the server did not send in time"),
    ((requests.exceptions.InvalidHeader, urllib3.exceptions.InvalidHeader), "the answer has contradictory headers"),
    (
        (requests.ConnectionError, urllib3.exceptions.ProtocolError, http.client.HTTPException, OSError),
        "the connection was lost",
    ),
)
