"""Rules of robots.txt (RFC 9309), read by protego. Each origin's file is fetched once."""

import re
import threading
from collections.abc import Callable

from protego import Protego

from mmsrec.crawl.entry import Rejected
from mmsrec.crawl.policy import Origin, Target, agent_name

PATH = "/robots.txt"
# RFC 9309, section 2.5: a crawler must read at least 500 KiB.
MAX_BYTES = 512_000

_AGENT = re.compile(r"\s*user[- ]?agent\s*[:\s]\s*([^\s#][^#]*)", re.IGNORECASE)
# Stands for every other crawler. The name of an agent has letters, so no agent has this name.
_OTHER = "0"


def parse(text: str, agent: str) -> Protego:
    """Parses the rules of one robots.txt.

    Before protego reads the file, each `User-agent` line gets one of three names: `agent`, `*` or a common name for
    all other crawlers. This has three effects. A version (`mmsrec/2.0`) does not hide a group from its crawler. The
    name `mm` does not match the crawler `mmsrec`. A hostile file of many agents and many rules needs no memory for
    each pair of them.

    Args:
        text: content of the file.
        agent: the crawler's product token, in lower case.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    return Protego.parse("\n".join(_with_known_agent(line, agent) for line in lines))


def _with_known_agent(line: str, agent: str) -> str:
    match = _AGENT.match(line)
    if match is None:
        return line
    name = "*" if match[1].startswith("*") else agent_name(match[1].strip())
    return f"User-agent: {name if name in ('*', agent) else _OTHER}"


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
        self._files: dict[Origin, _File] = {}
        self._lock = threading.Lock()

    def check(self, target: Target) -> None:
        """Returns if the rules allow the target.

        Raises:
            Rejected: `refused` if a rule disallows the target, or the error that `fetch` raises.
        """
        with self._lock:
            file = self._files.setdefault(target.origin, _File())
        with file.lock:
            if file.rules is None:
                file.rules = parse(self._fetch(target.origin), self._agent)
        if not file.rules.can_fetch(target.url, self._agent):
            raise Rejected("refused", "robots.txt disallows it")


class _File:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: Protego | None = None
