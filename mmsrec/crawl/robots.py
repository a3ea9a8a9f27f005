"""robots.txt as RFC 9309 defines it: groups by agent, the longest matching rule, wildcards, error statuses."""

import re
import threading
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote_to_bytes

from mmsrec.crawl.outcome import Rejected
from mmsrec.crawl.policy import Origin, Target, agent_name

PATH = "/robots.txt"
# RFC 9309, 2.5: a crawler must read at least 500 KiB.
MAX_BYTES = 512_000
# Characters that stand for themselves in a path and a query; all others are compared percent-encoded.
_PLAIN = "/?#[]@!$&'()*+,;=:-._~"


def _encoded(path: str) -> str:
    """One spelling for a path: RFC 9309, 2.2.2 compares octets, whether percent-encoded or not."""
    parts = re.split("(%(?:2[46AaFf]|3[Ff]))", path)
    return "".join(
        part.upper() if index % 2 else quote(unquote_to_bytes(part), safe=_PLAIN) for index, part in enumerate(parts)
    )


def _matches(pattern: str, path: str) -> bool:
    """Whether a rule's pattern, with `*` for any text and a last `$` for the end, matches from the path's start."""
    anchored = pattern.endswith("$")
    head, *pieces = pattern.removesuffix("$").split("*")
    if not path.startswith(head):
        return False
    if anchored and not pieces:
        return path == head
    start = len(head)
    last = pieces.pop() if anchored else ""
    for piece in pieces:
        found = path.find(piece, start)
        if found < 0:
            return False
        start = found + len(piece)
    return len(path) - len(last) >= start and path.endswith(last)


def _records(text: str) -> Iterator[tuple[str, str]]:
    for line in re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


class Rules:
    """The rules of one robots.txt for one agent.

    Args:
        text: the file.
        agent: the crawler's product token, in lower case.
    """

    def __init__(self, text: str, agent: str) -> None:
        groups: dict[str, list[tuple[str, bool]]] = {}
        names: list[str] = []
        rules_seen = False
        for key, value in _records(text):
            if key == "user-agent":
                if rules_seen:
                    names, rules_seen = [], False
                names.append("*" if value.startswith("*") else agent_name(value))
                groups.setdefault(names[-1], [])
            elif key in ("allow", "disallow"):
                rules_seen = True
                if value:
                    for name in names:
                        groups[name].append((_encoded(value), key == "allow"))
        rules = groups.get(agent, groups.get("*", []))
        # Longest pattern first; of two as long, the one that allows.
        self._rules = sorted(rules, key=lambda rule: (len(rule[0]), rule[1]), reverse=True)

    def allow(self, path: str) -> bool:
        """Whether the agent may fetch a path (with its query)."""
        path = _encoded(path)
        return path == PATH or next((allowed for rule, allowed in self._rules if _matches(rule, path)), True)


class Robots:
    """The robots.txt of every origin met, each fetched once.

    Args:
        agent: the crawler's product token, in lower case.
        fetch: gives the text of an origin's robots.txt, "" where none is published; raises Rejected where the server
            does not say, and is then asked again at the next check.
    """

    def __init__(self, agent: str, fetch: Callable[[Origin], str]) -> None:
        self._agent = agent
        self._fetch = fetch
        self._files: dict[Origin, _File] = {}
        self._lock = threading.Lock()

    def check(self, target: Target) -> None:
        """Lets an allowed target pass.

        Raises:
            Rejected: refused by a rule, or what `fetch` raises.
        """
        with self._lock:
            file = self._files.setdefault(target.origin, _File())
        with file.lock:
            if file.rules is None:
                file.rules = Rules(self._fetch(target.origin), self._agent)
        if not file.rules.allow(target.path):
            raise Rejected("refused", "robots.txt disallows it")


class _File:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: Rules | None = None
