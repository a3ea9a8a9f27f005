"""The kinds of media that a crawl keeps: how each is told from its first bytes, and how it is stored."""

from collections.abc import Callable
from dataclasses import dataclass

from mmsrec.crawl import pictures, video_formats
from mmsrec.crawl.ledger import Entry
from mmsrec.crawl.store import Store
from mmsrec.media_rows import Crawl


@dataclass(frozen=True)
class Kind:
    """One kind of media.

    Attributes:
        name: in messages, after "a".
        sniff: the format that a file starts as, from its first 16 bytes, or None.
        keep: verifies and stores an item's media under a policy; raises `Rejected` with the ledger's state.
    """

    name: str
    sniff: Callable[[bytes], str | None]
    keep: Callable[[Store, str, bytes, Crawl], Entry]


def _keep_picture(store: Store, item_id: str, body: bytes, policy: Crawl) -> Entry:
    return store.keep_picture(item_id, body, policy.max_pixels)


def _keep_video(store: Store, item_id: str, body: bytes, _: Crawl) -> Entry:
    return store.keep_video(item_id, body)


PICTURES = Kind("picture", pictures.sniff, _keep_picture)
VIDEOS = Kind("video", video_formats.sniff, _keep_video)
