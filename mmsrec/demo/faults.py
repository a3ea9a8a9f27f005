"""Faults in the demo's media: the share of items with each fault, and the server's answers for them."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmsrec.demo.addresses import UNREACHABLE
from mmsrec.demo.taste_world import Site

# Items with so many actions stay in a 5-core, so the crawl meets every fault.
ENOUGH_ACTIONS = 8

HTML = b"<!DOCTYPE html><title>Sorry</title><p>This file is gone."


@dataclass(frozen=True)
class Answer:
    """One answer to a request for a file.

    Attributes:
        status: HTTP status.
        headers: headers besides the type and the length.
        body: bytes in place of the file's.
        part: share of the body that is sent as if it were complete.
        padding: zero bytes after the body.
        seconds: time to send the body.
        cut: share of the promised body after which the server closes the connection.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    part: float = 1
    padding: int = 0
    seconds: float = 0
    cut: float = 1


def _pixel_bomb(side: int = 60_000) -> bytes:
    """A PNG of a few kilobytes whose header declares side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(1_000_000), 9))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


WHOLE = Answer()

# The answers to successive requests for a path; the last answer repeats.
ANSWERS: Mapping[str, tuple[Answer, ...]] = {
    "gone": (Answer(404, body=b""),),
    "flaky": (Answer(500, body=b""), WHOLE),
    "throttled": (Answer(429, {"Retry-After": "1"}, body=b""), WHOLE),
    "slow": (Answer(seconds=20),),
    "truncated": (Answer(part=0.6),),
    "cut off": (Answer(cut=0.4), WHOLE),
    "html": (Answer(body=HTML),),
    "oversize": (Answer(padding=5_000_000),),
    "bomb": (Answer(body=_pixel_bomb()),),
    "opted out": (Answer(headers={"X-Robots-Tag": "noai"}),),
    "forbidden": (WHOLE,),  # robots.txt disallows the path
    "loop": (Answer(302, {"Location": "?again"}, body=b""),),
    "local file": (Answer(302, {"Location": "file:///etc/hostname"}, body=b""),),
}

# Faults of raw files; retries fetch them all.
RAW_FAULTS: Mapping[str, str] = {
    "demo/ratings_Demo.csv": "cut off",
    "demo/films.zip": "flaky",
    "demo/ml-youtube.csv": "throttled",
}

# Shares of the pictures. Three faults concern the link: it is absent, or names a former or an unreachable host.
PICTURE_FAULTS: Mapping[str, float] = {
    "no link": 0.05,
    "moved": 0.05,
    "unreachable": 0.01,
    "gone": 0.02,
    "flaky": 0.01,
    "throttled": 0.004,
    "slow": 0.004,
    "truncated": 0.01,
    "html": 0.01,
    "oversize": 0.004,
    "bomb": 0.004,
    "opted out": 0.01,
    "forbidden": 0.01,
    "loop": 0.004,
    "local file": 0.004,
}


@dataclass(frozen=True)
class TrailerFault:
    """A fault of a film's trailer.

    Attributes:
        share: share of the films.
        listed: the entry in the table of trailer ids, a key of `LISTED`.
        found_at: base URL where a search finds the trailer, empty for this server; None if no search finds it.
        seconds: length of the trailer.
    """

    share: float
    listed: str = "own"
    found_at: str | None = None
    seconds: int = 3


# The id in the table of trailer ids, from the id of the trailer; None for no row.
LISTED = {
    "own": lambda trailer: trailer,
    "nothing": lambda trailer: None,
    "mangled": lambda trailer: "#NAME?",  # a spreadsheet's result for an id that begins with a minus
    "stale": lambda trailer: trailer[::-1],
}

TRAILER_FAULTS: Mapping[str, TrailerFault] = {
    "no id": TrailerFault(0.06, "nothing", found_at=""),
    "mangled id": TrailerFault(0.02, "mangled", found_at=""),
    "stale id": TrailerFault(0.03, "stale", found_at=""),
    "no trailer": TrailerFault(0.03, "nothing"),
    "unreachable": TrailerFault(0.005, "nothing", found_at=UNREACHABLE),
    "gone": TrailerFault(0.02),
    "flaky": TrailerFault(0.01),
    "throttled": TrailerFault(0.005),
    "slow": TrailerFault(0.0025),
    "truncated": TrailerFault(0.01),
    "html": TrailerFault(0.01),
    "oversize": TrailerFault(0.005),
    "loop": TrailerFault(0.005),
    "too long": TrailerFault(0.005, seconds=40),
}


# Shares of the corpus's videos; only test videos get a fault.
CLIP_FAULTS: Mapping[str, float] = {"gone": 0.01, "flaky": 0.01, "truncated": 0.01}


def spread(shares: Mapping[str, float], items: int, order: Sequence[int]) -> dict[int, str]:
    """The fault of each faulty item. Each fault gets its share of `items`, at least one, in the order of `order`."""
    left = iter(order)
    counts = {fault: max(1, round(share * items)) for fault, share in shares.items()}
    return {int(next(left)): fault for fault, count in counts.items() for _ in range(count)}


def site_faults(shares: Mapping[str, float], site: Site, random: np.random.Generator) -> dict[int, str]:
    """Spreads faults over the items of a site that have enough actions to stay in a 5-core."""
    actions = np.bincount(np.concatenate(site.histories), minlength=len(site.taste))
    return spread(shares, len(site.taste), random.permutation(np.flatnonzero(actions >= ENOUGH_ACTIONS)))
