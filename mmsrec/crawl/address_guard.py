"""Address guard: a crawl connects to public IP addresses only.

The code is our own because no maintained library does this for requests and urllib3.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from mmsrec.crawl.entry import Rejected

NAT64 = IPv6Network("64:ff9b::/96")


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Resolves a host name and returns the IP addresses to which a crawl may connect, without repetitions.

    The caller must connect to these addresses, not to the name: a second look-up could give another address.

    Raises:
        Rejected: `failed` if the name does not resolve, `refused` if every address is private.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Rejected("failed", "the host's name does not resolve", of_host=True) from error
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    allowed = [address for address in addresses if allow_private or is_public(address)]
    if not allowed:
        raise Rejected("refused", "the host has a private address")
    return allowed


def is_public(address: str) -> bool:
    """Whether an IP address is globally reachable unicast. An IPv4 address inside an IPv6 address must be so, too."""
    ip = ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast and all(is_public(str(inner)) for inner in _embedded(ip))


def _embedded(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(ip, IPv4Address):
        return []
    translated = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
    tunnelled = ip.teredo or ()
    return [inner for inner in (ip.ipv4_mapped, ip.sixtofour, translated, *tunnelled) if inner]
