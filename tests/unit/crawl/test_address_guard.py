"""Connections go to public addresses only, and to the address that was checked."""

import ipaddress
import socket
from collections.abc import Callable

import pytest

from mmsrec.crawl import http
from mmsrec.crawl.address_guard import is_public
from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import target
from mmsrec.crawl.request import Fetcher
from tests.servers import Reply, Server
from tests.unit.crawl.examples import picture, policy

PICTURE = picture()
Serve = Callable[..., Server]


def rejection(url: str) -> Rejected:
    with pytest.raises(Rejected) as caught:
        Fetcher(policy(respect_robots=False, allow_private=False)).media(target(url))
    return caught.value


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    # Python treats IPv4-mapped addresses as private. The guard may refuse more than necessary.
    assert is_public(address) or ipaddress.ip_address(address).ipv4_mapped


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "127.1", "2130706433", "0x7f000001"])
def test_every_spelling_of_loopback_is_refused(host: str) -> None:
    with Server({"/x": Reply(PICTURE)}) as server:
        url = server.url("/x").replace("127.0.0.1", host)
        rejected = rejection(url)

    assert (rejected.state, rejected.reason) == ("refused", "the host has a private address")
    assert not server.requests


def test_the_connection_goes_to_the_address_that_was_checked(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name resolves to a public address first and to a private one later. The guard resolves it once."""
    server = serve({"/x": Reply(PICTURE)})
    port = int(server.base.rpartition(":")[2])
    asked, connected = [], []
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: object, **options: object) -> list:
        if host != "rebind.example":
            return real(host, *arguments, **options)
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(http, "create_connection", connect)
    rejected = rejection(f"http://rebind.example:{port}/x")

    assert rejected.of_host
    assert (asked, connected) == (["rebind.example"], [("93.184.216.34", port)])


def test_private_addresses_of_a_host_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("10.0.0.1", "8.8.8.8")]
    connected = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(http, "create_connection", connect)

    assert rejection("http://two.example/x").of_host
    assert connected == ["8.8.8.8"]
