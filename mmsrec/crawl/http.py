"""HTTP sessions that connect to allowed addresses only and stop at a deadline.

The address guard runs at each connection. Therefore every redirect is checked, and a host name cannot resolve to one
address for the check and to another address for the connection.
"""

import io
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from mmsrec.crawl.address_guard import allowed_addresses
from mmsrec.crawl.entry import Rejected
from mmsrec.settings.crawling import Crawl

# urllib3 warns of malformed headers with their text. A stranger must not write into the user's terminal.
logging.getLogger("urllib3").setLevel(logging.ERROR)


@dataclass(frozen=True)
class _Limits:
    deadline: float
    connect_timeout: float
    read_timeout: float
    allow_private: bool

    def remaining(self, longest: float) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the total time of a request is used up")
        return min(left, longest)


_limits: ContextVar[_Limits] = ContextVar("limits of the request that this thread makes")


@contextmanager
def limited(policy: Crawl) -> Iterator[None]:
    """Applies the policy's timeouts and address rule to this thread's requests. The total time starts here."""
    deadline = time.monotonic() + policy.total_timeout
    token = _limits.set(_Limits(deadline, policy.connect_timeout, policy.read_timeout, policy.allow_private))
    try:
        yield
    finally:
        _limits.reset(token)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket. Each read waits only as long as the limits allow, so a slow answer ends at the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        limits = _limits.get()
        longest = limits.remaining(limits.read_timeout)
        if longest != self._sock.gettimeout():
            self._sock.settimeout(longest)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineSocket:
    """Stands for a socket in http.client, which reads an answer through `makefile`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._sock), 65536)


class _Guarded:
    """The part of a connection that checks addresses and reads under a deadline."""

    @staticmethod
    def response_class(sock: socket.socket, **options: Any) -> HTTPResponse:
        return HTTPResponse(_DeadlineSocket(sock), **options)  # type: ignore[arg-type]

    def _new_conn(self) -> socket.socket:
        limits = _limits.get()
        for address in allowed_addresses(self._dns_host, self.port, allow_private=limits.allow_private):
            try:
                timeout = limits.remaining(limits.connect_timeout)
                return create_connection((address, self.port), timeout, socket_options=self.socket_options)
            except TimeoutError:
                reason = "the host did not accept a connection in time"
            except OSError:
                reason = "the host did not accept a connection"
        raise Rejected("failed", reason, of_host=True)


class _GuardedHttp(_Guarded, HTTPConnection):
    pass


class _GuardedHttps(_Guarded, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHttps


class _GuardedAdapter(HTTPAdapter):
    """An adapter for one host. It keeps its connection pool, because a look-up for each request costs time."""

    _pool: HTTPConnectionPool | None = None

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        self._pool = self._pool or super().get_connection_with_tls_context(*args, **options)
        return self._pool

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


def new_session(policy: Crawl) -> requests.Session:
    """Creates a session for one host. Its requests must run inside `limited`.

    The session ignores proxies, credentials and certificates from the environment. A proxy would resolve host names
    itself and so avoid the address guard.
    """
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    session.headers.update({"User-Agent": policy.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _GuardedAdapter(pool_connections=1, pool_maxsize=policy.host_concurrency)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
