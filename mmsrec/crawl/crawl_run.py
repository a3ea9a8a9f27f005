"""The common part of all crawls: resume from the log, show progress, write the ledger."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from mmsrec.crawl.entry import Entry
from mmsrec.crawl.ledger import Ledger, Review
from mmsrec.crawl.media_store import Store
from mmsrec.errors import CrawlError
from mmsrec.files import lock
from mmsrec.progress import progress

logger = logging.getLogger(__name__)

LOG = "ledger.jsonl"
TABLE = "ledger.parquet"

# Fetches or copies the media of the given items and yields an entry for each item.
Crawler = Callable[[Mapping[str, str | None], Store], Iterator[Entry]]


def run_crawl(
    requests: Mapping[str, str | None],
    folder: Path,
    rules: str,
    crawler: Crawler,
    *,
    repeat_all: bool = False,
    review: Review = list,
) -> Counter[str]:
    """Crawls the items that have no final state in the log, then writes the ledger of all items.

    Args:
        requests: the request of each item: a URL, a path or a search. None means that nothing is known of its media.
        folder: receives ledger.parquet, its log, and the media below files/.
        rules: the settings that determine an item's state. A final state is valid under the same rules only.
        crawler: yields an entry for each item that it receives.
        repeat_all: ignores the log and crawls every item.
        review: as in `Ledger.finalise`.

    Returns:
        The number of items in each state.

    Raises:
        ArtifactError: the folder's log is damaged.
    """
    digest = sha256(rules.encode()).hexdigest()[:8]
    with lock(folder), Ledger(folder / LOG, digest) as ledger:
        todo = {item: request for item, request in requests.items() if repeat_all or not ledger.is_final(item, request)}
        logger.info("%s: %d of %d items are finished", folder, len(requests) - len(todo), len(requests))
        # Closed, so that the threads of the crawl end also when this thread is interrupted.
        with (
            Store(folder) as store,
            progress("crawl", len(todo), "item") as bar,
            closing(crawler(todo, store)) as entries,
        ):
            for entry in entries:
                ledger.record(entry, todo[entry.item_id])
                bar.update()
        counts = ledger.finalise(folder / TABLE, requests, review)
    logger.info("%s: %s", folder, ", ".join(f"{number} {state}" for state, number in counts.most_common()))
    return counts


def require_answers(counts: Counter[str], folder: Path) -> None:
    """Refuses a crawl that got no answer at all, as without a network: its stage is then not over.

    Raises:
        CrawlError: items were asked for, and each of them failed.
    """
    if counts["failed"] and not counts.keys() - {"failed", "missing"}:
        raise CrawlError(
            "No request of the crawl got an answer.",
            where=folder / TABLE,
            found=f"{counts['failed']:,} items in the state failed",
            fix="Check the network and the proxy. Then run the stage again: it resumes.",
        )
