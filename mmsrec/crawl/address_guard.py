"""Address guard: a crawl connects to public IP addresses only.

The code is our own because no maintained library does this for requests and urllib3.
"""

import socket
from ipaddress import IPv4Address, ip_address

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.special_addresses import EMBEDDING, GLOBAL_UNICAST, SPECIAL_V4, SPECIAL_V6


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
    """Whether an IP address belongs to a public host. For an IPv6 address that stands for an IPv4 one, this decides."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in SPECIAL_V4)
    for network, shift in EMBEDDING:
        if ip in network:
            return is_public(str(IPv4Address(int(ip) >> shift & 0xFFFFFFFF)))
    return ip in GLOBAL_UNICAST and not any(ip in network for network in SPECIAL_V6)
