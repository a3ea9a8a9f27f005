"""What a crawl may ask for: URLs, addresses and opt-outs. Nothing here touches the network."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from mmsrec.crawl.outcome import Rejected

OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
DEFAULT_PORTS = {"http": 80, "https": 443}
NAT64 = IPv6Network("64:ff9b::/96")
# `agent: directive`, but not `unavailable_after: date` and the like, whose colon belongs to the directive.
AGENT = re.compile(r"\s*(?!unavailable_after|max-)([A-Za-z][\w-]*)\s*:(.*)", re.IGNORECASE | re.DOTALL)


class Origin(NamedTuple):
    """What concurrency, rate and robots.txt are kept for."""

    scheme: str
    host: str
    port: int

    def url(self, path: str) -> str:
        """The URL of an absolute path at this origin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{path}"


class Target(NamedTuple):
    """A URL as it goes over the wire, and the request for it, still without headers."""

    url: str
    request: requests.PreparedRequest
    origin: Origin
    path: str


def target(url: str) -> Target:
    """Normalises a URL (percent-encoding, IDNA) and checks its form.

    Raises:
        Rejected: refused, because it is not an http(s) URL or carries credentials.
    """
    try:
        if urlsplit(url.strip()).scheme.lower() not in DEFAULT_PORTS:
            raise Rejected("refused", "not an http or https URL")
        request = requests.Request("GET", url.strip().partition("#")[0]).prepare()
        wire = request.url or ""
        parts = urlsplit(wire)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, requests.RequestException) as error:
        raise Rejected("refused", "not a well-formed URL") from error
    if not parts.hostname or "\\" in parts.netloc:
        raise Rejected("refused", "not a well-formed URL")
    if "@" in parts.netloc:
        raise Rejected("refused", "the URL carries credentials")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(wire, request, Origin(parts.scheme, parts.hostname.lower(), port), path)


def candidates(url: str, rewrites: Mapping[str, Iterable[str]]) -> list[str]:
    """The URLs to try for `url`: the same path at the origins that replace its own, then itself."""
    for old, replacements in rewrites.items():
        rest = url.removeprefix(old.rstrip("/"))
        if rest != url and rest.startswith("/"):
            return [*(new.rstrip("/") + rest for new in replacements), url]
    return [url]


def is_public(address: str) -> bool:
    """Whether an IP address is globally reachable unicast, the IPv4 address inside an IPv6 one included."""
    ip = ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast and all(is_public(str(inner)) for inner in _embedded(ip))


def _embedded(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(ip, IPv4Address):
        return []
    translated = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
    tunnelled = ip.teredo or ()
    return [inner for inner in (ip.ipv4_mapped, ip.sixtofour, translated, *tunnelled) if inner]


def agent_name(user_agent: str) -> str:
    """The product token of a user agent, which robots.txt and X-Robots-Tag address, in lower case."""
    return re.split(r"[/ ]", user_agent, maxsplit=1)[0].lower()


def opted_out(tags: Iterable[str], agent: str) -> str | None:
    """The directive of X-Robots-Tag headers that forbids the use of a picture, if there is one.

    A directive may be for one agent (`mmsrec: noai`); it and those after it in its header then concern that agent.
    """
    for tag in tags:
        addressed = True
        for part in tag.split(","):
            if match := AGENT.match(part):
                addressed = match[1].lower() == agent
                part = match[2]
            directive = part.strip().lower()
            if addressed and directive in OPT_OUTS:
                return directive
    return None
