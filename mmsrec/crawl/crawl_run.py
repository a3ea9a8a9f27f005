"""What every crawl does around its requests: go on from the log, show progress, seal the ledger."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from mmsrec.crawl.ledger import Ledger
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.outcome import Entry
from mmsrec.files import lock
from mmsrec.progress import progress

logger = logging.getLogger(__name__)

LOG = "ledger.jsonl"
SEALED = "ledger.parquet"

Settle = Callable[[Mapping[str, str | None], Store], Iterator[Entry]]


def settle_all(
    wanted: Mapping[str, str | None], folder: Path, rules: str, settle: Settle, *, anew: bool = False
) -> Counter[str]:
    """Settles the items that the log does not know as settled, and seals the ledger of all.

    Args:
        wanted: what each item asks for: a URL, a path, a search; None where nothing is known of its media.
        folder: gets ledger.parquet, the log it is sealed from, and the media below files/.
        rules: the settings that decide in which state an item ends; final states hold under the same rules only.
        settle: yields an entry for each item that it is given.
        anew: settle every item, whatever the log says.

    Returns:
        The number of items in each state.

    Raises:
        ArtifactError: the folder's log is damaged.
    """
    digest = sha256(rules.encode()).hexdigest()[:8]
    with lock(folder), Ledger(folder / LOG, digest) as ledger:
        todo = {item: asked for item, asked in wanted.items() if anew or not ledger.settled(item, asked)}
        logger.info("%s: %d of %d items are settled", folder, len(wanted) - len(todo), len(wanted))
        with Store(folder) as store, progress("crawl", len(todo), "item") as bar:
            for entry in settle(todo, store):
                ledger.record(entry, todo[entry.item_id])
                bar.update()
        counts = ledger.seal(folder / SEALED, wanted)
    logger.info("%s: %s", folder, ", ".join(f"{number} {state}" for state, number in counts.most_common()))
    return counts
