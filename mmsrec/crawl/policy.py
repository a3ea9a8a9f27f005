"""The rules for URLs and opt-out headers. This module makes no requests."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

from mmsrec.crawl.entry import Rejected

OPT_OUTS = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
DEFAULT_PORTS = {"http": 80, "https": 443}
# Matches `agent: directive`. In `unavailable_after: date` and in `max-...`, the colon belongs to the directive.
AGENT = re.compile(r"\s*(?!unavailable_after|max-)([A-Za-z][\w-]*)\s*:(.*)", re.IGNORECASE | re.DOTALL)


class Origin(NamedTuple):
    """A web server. Each origin has its own concurrency, rate and robots.txt."""

    scheme: str
    host: str
    port: int

    def url(self, path: str) -> str:
        """The URL of an absolute path on this origin."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{path}"


class Target(NamedTuple):
    """A normalised URL, its request (without headers yet), its origin, and its path with the query."""

    url: str
    request: requests.PreparedRequest
    origin: Origin
    path: str


def target(url: str) -> Target:
    """Normalises a URL (percent-encoding, IDNA) and checks its form.

    Raises:
        Rejected: `refused`, because it is not an http(s) URL or contains credentials.
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
        raise Rejected("refused", "the URL contains credentials")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(wire, request, Origin(parts.scheme, parts.hostname.lower(), port), path)


def candidates(url: str, rewrites: Mapping[str, Iterable[str]]) -> list[str]:
    """The URLs to try in order: the same path on each replacement origin, then `url` itself."""
    for old, replacements in rewrites.items():
        rest = url.removeprefix(old.rstrip("/"))
        if rest != url and rest.startswith("/"):
            return [*(new.rstrip("/") + rest for new in replacements), url]
    return [url]


def agent_name(user_agent: str) -> str:
    """The product token of a user agent, in lower case. robots.txt and X-Robots-Tag name crawlers by it."""
    return re.split(r"[/ ]", user_agent, maxsplit=1)[0].lower()


def opted_out(tags: Iterable[str], agent: str) -> str | None:
    """The directive in X-Robots-Tag headers that forbids the use of a file, or None.

    A directive may name an agent (`mmsrec: noai`). It and the later directives of its header then apply to that agent
    only.
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
