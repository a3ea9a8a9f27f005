"""Requests end at their deadline, send no credentials, and reuse connections."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from mmsrec.crawl import http
from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import target
from mmsrec.crawl.request import Fetcher, Redirect
from tests.certificates import self_signed
from tests.servers import Reply, Server
from tests.unit.crawl.examples import picture, policy

PICTURE = picture()
Serve = Callable[..., Server]


def fetch(url: str, **changes: object) -> bytes | Redirect:
    return Fetcher(policy(respect_robots=False, **changes)).media(target(url))


def rejection(url: str, **changes: object) -> Rejected:
    with pytest.raises(Rejected) as caught:
        fetch(url, **changes)
    return caught.value


def test_a_closed_port_and_an_unknown_name_fail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    for url in (f"http://127.0.0.1:{port}/x", "http://no-such-host.invalid/x"):
        rejected = rejection(url)
        assert (rejected.state, rejected.of_host) == ("failed", True)
        assert str(port) not in rejected.reason


@pytest.mark.parametrize(
    "reply", [Reply(PICTURE, chunk=1, pause=0.05), Reply(b"HTTP/1.1 200 OK\r\nX-A", raw=True, chunk=1, pause=0.2)]
)
def test_a_slow_answer_ends_at_the_deadline(serve: Serve, reply: Reply) -> None:
    server = serve({"/x": reply})

    start = time.monotonic()
    rejected = rejection(server.url("/x"), read_timeout=5.0, total_timeout=0.6)

    assert (rejected.state, rejected.reason) == ("failed", "the server did not send in time")
    assert 0.5 < time.monotonic() - start < 20


def test_no_cookies_credentials_or_proxies_are_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server = serve({"/x": Reply(PICTURE, headers={"Set-Cookie": "a=b"})})
    fetcher = Fetcher(policy(respect_robots=False, user_agent="mmsrec/9 (here)"))
    for _ in range(2):
        fetcher.media(target(server.url("/x")))

    for request in server.asked("/x"):
        sent = {name.lower(): value for name, value in request.headers.items()}
        assert sent["user-agent"] == "mmsrec/9 (here)"
        assert not {"cookie", "authorization"} & set(sent)


def test_an_unverified_certificate_ends_the_request(serve: Serve, tmp_path: Path) -> None:
    server = serve({"/x": Reply(PICTURE)}, tls=self_signed(tmp_path / "pem"))

    rejected = rejection(server.url("/x"))

    assert (rejected.state, rejected.reason) == ("failed", "the TLS certificate or handshake failed")
    assert not server.requests


def test_a_slow_tls_answer_ends_at_the_deadline(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = self_signed(tmp_path / "pem")
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "pem"))
    server = serve({"/x": Reply(PICTURE), "/slow": Reply(PICTURE, chunk=1, pause=0.05)}, tls=context)

    assert fetch(server.url("/x")) == PICTURE
    assert rejection(server.url("/slow"), total_timeout=0.6).reason == "the server did not send in time"


def test_a_redirect_is_returned_and_not_followed(serve: Serve) -> None:
    server = serve({"/a/x": Reply(status=302, headers={"Location": "../b?c=1#d"})})

    assert fetch(server.url("/a/x")) == Redirect(server.url("/b?c=1#d"), 302)


def test_a_connection_is_reused(serve: Serve) -> None:
    server = serve({"/x": Reply(PICTURE)})
    fetcher = Fetcher(policy(respect_robots=False))
    sockets = set()
    real = http.create_connection

    def connect(*arguments: object, **options: object) -> socket.socket:
        sock = real(*arguments, **options)
        sockets.add(sock)
        return sock

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "create_connection", connect)
        for _ in range(5):
            assert fetcher.media(target(server.url("/x"))) == PICTURE

    assert len(sockets) == 1
