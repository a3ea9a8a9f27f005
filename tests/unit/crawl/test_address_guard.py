"""Connections go to public addresses only, and to the address that was checked."""

import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest

from mmsrec.crawl import http
from mmsrec.crawl.address_guard import is_public
from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import target
from mmsrec.crawl.request import Fetcher
from mmsrec.crawl.special_addresses import SPECIAL
from tests.servers import Reply, Server
from tests.unit.crawl.examples import picture, policy

PICTURE = picture()
Serve = Callable[..., Server]


def rejection(url: str) -> Rejected:
    with pytest.raises(Rejected) as caught:
        Fetcher(policy(respect_robots=False, allow_private=False)).media(target(url))
    return caught.value


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.0.0.0", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1", "2a00::1%eth0"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


# The address before each range and the address after it, and whether they are public. IANA assigns no public hosts
# outside 2000::/3.
NEIGHBOURS = {
    "0.0.0.0/8": {"1.0.0.0": True},
    "10.0.0.0/8": {"9.255.255.255": True, "11.0.0.0": True},
    "100.64.0.0/10": {"100.63.255.255": True, "100.128.0.0": True},
    "127.0.0.0/8": {"126.255.255.255": True, "128.0.0.0": True},
    "169.254.0.0/16": {"169.253.255.255": True, "169.255.0.0": True},
    "172.16.0.0/12": {"172.15.255.255": True, "172.32.0.0": True},
    "192.0.0.0/24": {"191.255.255.255": True, "192.0.1.0": True},
    "192.0.2.0/24": {"192.0.1.255": True, "192.0.3.0": True},
    "192.31.196.0/24": {"192.31.195.255": True, "192.31.197.0": True},
    "192.52.193.0/24": {"192.52.192.255": True, "192.52.194.0": True},
    "192.88.99.0/24": {"192.88.98.255": True, "192.88.100.0": True},
    "192.168.0.0/16": {"192.167.255.255": True, "192.169.0.0": True},
    "192.175.48.0/24": {"192.175.47.255": True, "192.175.49.0": True},
    "198.18.0.0/15": {"198.17.255.255": True, "198.20.0.0": True},
    "198.51.100.0/24": {"198.51.99.255": True, "198.51.101.0": True},
    "203.0.113.0/24": {"203.0.112.255": True, "203.0.114.0": True},
    "224.0.0.0/4": {"223.255.255.255": True, "240.0.0.0": False},
    "240.0.0.0/4": {"239.255.255.255": False},
    "::/96": {"::1:0:0": False},
    "::ffff:0:0:0/96": {"::fffe:ffff:ffff:ffff": False, "::ffff:1:0:0": False},
    "64:ff9b:1::/48": {"64:ff9b:0:ffff:ffff:ffff:ffff:ffff": False, "64:ff9b:2::": False},
    "100::/64": {"ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False, "100:0:0:1::": False},
    "100:0:0:1::/64": {"100::ffff:ffff:ffff:ffff": False, "100:0:0:2::": False},
    "2001::/23": {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff": True, "2001:200::": True},
    "2001:db8::/32": {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff": True, "2001:db9::": True},
    "2620:4f:8000::/48": {"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff": True, "2620:4f:8001::": True},
    "3fff::/20": {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff": True, "3fff:1000::": True},
    "5f00::/16": {"5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False, "5f01::": False},
    "fc00::/7": {"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False, "fe00::": False},
    "fe80::/10": {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False, "fec0::": False},
    "fec0::/10": {"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False, "ff00::": False},
    "ff00::/8": {"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": False},
}


@pytest.mark.parametrize("network", [network for network, _, _ in SPECIAL])
def test_a_special_range_is_refused_to_its_ends_and_no_further(network: str) -> None:
    block = ip_network(network)
    numbers = {int(ip_address(address)) for address in NEIGHBOURS[network]}
    assert numbers <= {int(block[0]) - 1, int(block[-1]) + 1}
    for address, public in {str(block[0]): False, str(block[-1]): False, **NEIGHBOURS[network]}.items():
        assert is_public(address) is public, address


@pytest.mark.parametrize(
    ("first", "last", "below", "above"),
    [
        # The ranges that stand for IPv4 addresses. Their ends stand for 0.0.0.0 and 255.255.255.255.
        ("::ffff:0.0.0.0", "::ffff:255.255.255.255", "::fffe:ffff:ffff", "::1:0:0:0"),
        ("64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::1:0:0"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
    ],
)
def test_the_ends_of_ranges_for_ipv4_are_refused(first: str, last: str, below: str | None, above: str | None) -> None:
    assert not any(is_public(address) for address in (first, last, below, above) if address)


@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "2002:{}::1"])
@pytest.mark.parametrize("network", [network for network, _, _ in SPECIAL if ":" not in network])
def test_an_ipv4_address_inside_an_ipv6_address_is_checked(form: str, network: str) -> None:
    block = ip_network(network)
    for inner, public in {block[0]: False, block[-1]: False, **NEIGHBOURS[network]}.items():
        number = int(ip_address(inner))
        assert is_public(form.format(f"{number >> 16:x}:{number & 0xFFFF:x}")) is public


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
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:7f00:0:100::",
        "fec0::1",
        "192.0.0.9",
        "192.88.99.1",
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
