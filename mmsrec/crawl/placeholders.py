"""Finds the placeholder pictures of a host by equal bytes of many items.

The rule sees all items at once, so it is applied when the ledger is written. An item's state then does not depend on
the order in which the items finished.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from mmsrec.crawl.entry import Entry

FEWEST_ITEMS = 20
# Variants of a product often share a picture. Where all pictures of a host are shared by many items, none is unusual.
TIMES_AS_MANY = 10


def without_placeholders(entries: Sequence[Entry], most_alike: float) -> list[Entry]:
    """The entries, where those with a placeholder are `missing` and name no file.

    Equal bytes are a placeholder if at least `FEWEST_ITEMS` items of a host have them. These must be more than the
    share `most_alike`. They must also be `TIMES_AS_MANY` times the average number of items of its other pictures.

    Args:
        entries: one for each item, in any order; the result has the same order.
        most_alike: a share of the pictures of a host that are `ok`. Files from a folder count as one host.
    """
    by_host: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry.state == "ok":
            by_host[_host(entry)][str(entry.sha256)] += 1
    reasons = {
        (host, digest): f"a placeholder: {items:,} of {pictures.total():,} pictures of the host have these bytes"
        for host, pictures in by_host.items()
        for digest, items in pictures.items()
        if _is_placeholder(items, pictures.values(), most_alike)
    }
    return [_missing(entry, reasons.get((_host(entry), str(entry.sha256)))) for entry in entries]


def _is_placeholder(items: int, items_a_picture: Iterable[int], most_alike: float) -> bool:
    counts = list(items_a_picture)
    total, others = sum(counts), len(counts) - 1
    usual = (total - items) / others if others else 1
    return items >= FEWEST_ITEMS and items > most_alike * total and items >= TIMES_AS_MANY * usual


def _missing(entry: Entry, reason: str | None) -> Entry:
    if entry.state != "ok" or reason is None:
        return entry
    return replace(entry, state="missing", bytes=None, sha256=None, path=None, error=reason)


def _host(entry: Entry) -> str:
    return urlsplit(entry.url or "").netloc
