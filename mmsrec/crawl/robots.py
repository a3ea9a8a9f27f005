"""Rules of robots.txt (RFC 9309). Each origin's file is fetched and compiled once.

The code is our own because protego, the library for this, compares each URL with every rule of a file. A file of
24,380 rules then costs up to 96 ms an item, which slows the crawl of all hosts. The tests compare the two.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import Origin, Target, agent_name

PATH = "/robots.txt"
# RFC 9309, section 2.5: a crawler must read at least 500 KiB. The rest of a longer file is not read.
MAX_BYTES = 512_000
# Largest number of rules with equal text before their first wildcard. They are tried one by one.
MAX_ALIKE = 1000
# Largest number of rules in memory, over all origins, at about 200 bytes each.
MAX_KEPT = 1_000_000

_AGENT = re.compile(r"\s*user[- ]?agent\s*[:\s]\s*([^\s#][^#]*)", re.IGNORECASE)
# The misspellings are those that protego accepts.
_RULE = re.compile(
    r"\s*(?:(allow)|disallow|dissallow|dissalow|disalow|diasllow|disallaw)\s*[:\s]\s*([^#]*)", re.IGNORECASE
)
# Directives of the whole site stand in any group. Any other directive ends the group's list of agents.
_OF_SITE = re.compile(r"\s*(?:site-?maps?|host)\s*[:\s]", re.IGNORECASE)
# The line breaks of RFC 9309. Python's splitlines also breaks at characters that a path may hold.
_BREAK = re.compile(r"\r\n|\r|\n")
_PLAIN = re.compile(r"[A-Za-z0-9_.~/=-]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class Rules:
    """The rules for one crawler, found by the text before their first wildcard.

    Args:
        rules: pairs of a pattern and whether it allows a path. `*` stands for any text, a last `$` for the end.

    Attributes:
        size: number of different rules.
        too_alike: whether more than `MAX_ALIKE` rules begin alike. Such rules take too long to check.
    """

    def __init__(self, rules: Iterable[tuple[str, bool]]) -> None:
        self._prefixes: dict[str, bool] = {}
        self._wildcards: dict[str, list[_Wildcard]] = {}
        unique = sorted({(_normal_pattern(pattern), allows) for pattern, allows in rules})
        for pattern, allows in unique:
            if "*" in pattern or pattern.endswith("$"):
                wildcard = _Wildcard(pattern, allows)
                self._wildcards.setdefault(wildcard.pieces[0], []).append(wildcard)
            else:
                # At equal length, the rule that allows decides. It is the last one of the sorted rules.
                self._prefixes[pattern] = allows
        for alike in self._wildcards.values():
            alike.sort(key=lambda wildcard: wildcard.rank, reverse=True)
        self.too_alike = any(len(alike) > MAX_ALIKE for alike in self._wildcards.values())
        self._lengths = sorted({len(text) for text in (*self._prefixes, *self._wildcards)})
        self.size = len(unique)

    def allow(self, path: str) -> bool:
        """Whether the longest rule that matches a path (with its query) allows it, or no rule matches."""
        if path.partition("?")[0] == PATH:
            return True
        path = _normal(path, rb"2F 25", "/%=")
        best = (0, True)
        for length in self._lengths:
            if length > len(path):
                break
            beginning = path[:length]
            if beginning in self._prefixes:
                best = max(best, (length, self._prefixes[beginning]))
            for wildcard in self._wildcards.get(beginning, ()):
                if wildcard.rank <= best:
                    break
                if wildcard.matches(path):
                    best = wildcard.rank
                    break
        return best[1]


class _Wildcard:
    """A pattern with a `*` or a last `$`. It is matched piece by piece from left to right, without a way back."""

    __slots__ = ("anchored", "pieces", "rank")

    def __init__(self, pattern: str, allows: bool) -> None:
        self.rank = (len(pattern), allows)
        self.anchored = pattern.endswith("$")
        self.pieces = pattern.removesuffix("$").split("*")

    def matches(self, path: str) -> bool:
        first, *others = self.pieces
        if not others:
            return path == first
        position = len(first)
        for piece in others[:-1]:
            found = path.find(piece, position)
            if found < 0:
                return False
            position = found + len(piece)
        last = others[-1]
        if self.anchored:
            return path.endswith(last) and len(path) - len(last) >= position
        return path.find(last, position) >= 0


def parse(text: str, agent: str) -> Rules:
    """Compiles the rules of one robots.txt for one crawler.

    The groups that name the agent apply, or else the groups of `*`. A version (`mmsrec/2.0`) does not hide a group
    from its crawler.

    Args:
        text: content of the file.
        agent: the crawler's product token, in lower case.
    """
    groups: dict[str, list[tuple[str, bool]]] = {}
    for name, *rule in _statements(text.removeprefix("\ufeff"), {agent, "*"}):
        groups.setdefault(name, []).extend(rule)
    return Rules(groups.get(agent, groups.get("*", ())))


def _statements(text: str, agents: set[str]) -> Iterator[tuple]:
    """Yields (agent,) for each line that names one of the agents, and (agent, (pattern, allows)) for each rule."""
    named: set[str] = set()
    listing = False
    for line in _BREAK.split(text):
        if match := _AGENT.match(line):
            named = named if listing else set()
            listing = True
            name = "*" if match[1].startswith("*") else agent_name(match[1].strip())
            if name in agents:
                named.add(name)
                yield (name,)
        elif match := _RULE.match(line):
            listing = False
            if pattern := match[2].strip():
                yield from ((name, (pattern, match[1] is not None)) for name in named)
        elif ":" in line.partition("#")[0] and not _OF_SITE.match(line):
            listing = False


def _normal_pattern(pattern: str) -> str:
    anchor = "$" if pattern.endswith("$") else ""
    pieces = (_normal(piece, rb"2F 25 2A", "/%=") for piece in pattern.removesuffix("$").split("*"))
    return "*".join(pieces) + anchor


def _normal(text: str, kept: bytes, safe: str) -> str:
    """Percent-encodes a path or a pattern, so that equal ones have equal text.

    Args:
        text: the path or pattern.
        kept: codes of the escapes that stay as they are. An encoded slash, for example, differs from a slash.
        safe: characters that are not encoded.
    """
    if _PLAIN.fullmatch(text):
        return text

    def decoded(escape: re.Match[bytes]) -> bytes:
        code = escape[1].upper()
        return b"%" + code if code in kept else bytes([int(code, 16)])

    return quote(_ESCAPE.sub(decoded, text.encode("utf-8", "replace")), safe)


class Robots:
    """The robots.txt of each origin.

    Args:
        agent: the crawler's product token, in lower case.
        fetch: returns the text of an origin's robots.txt, or "" if the origin has none. It raises Rejected if the
            server gives no usable answer; the next check then fetches the file again.
    """

    def __init__(self, agent: str, fetch: Callable[[Origin], str]) -> None:
        self._agent = agent
        self._fetch = fetch
        self._files: OrderedDict[Origin, _File] = OrderedDict()
        self._kept = 0
        self._lock = threading.Lock()

    def check(self, target: Target) -> None:
        """Returns if the rules allow the target.

        Raises:
            Rejected: `refused` if a rule disallows the target, `failed` if the rules take too long to check, or the
                error that `fetch` raises.
        """
        with self._lock:
            file = self._files.setdefault(target.origin, _File())
            self._files.move_to_end(target.origin)
        with file.lock:
            if file.rules is None:
                file.rules = parse(self._fetch(target.origin), self._agent)
                self._keep(file.rules.size)
        if file.rules.too_alike:
            reason = f"robots.txt: more than {MAX_ALIKE} rules begin alike before a wildcard"
            raise Rejected("failed", reason, of_host=True)
        if not file.rules.allow(target.path):
            raise Rejected("refused", "robots.txt disallows it")

    def _keep(self, rules: int) -> None:
        """Counts the rules of another file. Forgets the files that were used longest ago if there are too many."""
        with self._lock:
            self._kept += rules
            while self._kept > MAX_KEPT and len(self._files) > 1:
                _, oldest = self._files.popitem(last=False)
                self._kept -= oldest.rules.size if oldest.rules else 0


class _File:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: Rules | None = None
