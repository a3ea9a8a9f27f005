"""The two kinds of media, pictures and videos: how to recognise them by their first bytes and how to store them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from mmsrec.crawl import picture_check, video_formats
from mmsrec.crawl.entry import Entry, Rejected
from mmsrec.crawl.media_store import Store
from mmsrec.settings.crawling import Crawl
from mmsrec.workers import WorkerLost, Workers, cores

SAVE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Kind:
    """One kind of media.

    Attributes:
        name: the noun for messages, after "a".
        sniff: returns the format of a file from its first 16 bytes, or None if the file is of another kind.
        save: verifies and stores an item's media. The last argument has the bounds. It raises `Rejected` with the
            ledger's state.
    """

    name: str
    sniff: Callable[[bytes], str | None]
    save: Callable[[Store, str, bytes, Crawl], Entry]


def _save_video(store: Store, item_id: str, body: bytes, _: Crawl) -> Entry:
    return store.save_video(item_id, body)


PICTURES = Kind("picture", picture_check.sniff, Store.save_picture)
VIDEOS = Kind("video", video_formats.sniff, _save_video)


class MediaSavers:
    """Processes that verify and store media.

    A picture decoder may crash on hostile input, and threads would wait for each other's interpreter lock.

    Args:
        kind: the kind of the media.
        store: receives the media.
        policy: the bounds of a picture.
    """

    def __init__(self, kind: Kind, store: Store, policy: Crawl) -> None:
        self._workers = Workers(partial(_save_or_reject, kind.save, store, policy), cores(), SAVE_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.stop()

    def __call__(self, item_id: str, body: bytes) -> Entry:
        """Stores an item's media in one of the processes. Many threads may call this at once.

        Raises:
            Rejected: the error of `Kind.save`, or `undecodable` if the process died or did not answer in time.
            OSError: the media cannot be stored, such as on a full disk. This is no state of the item.
        """
        try:
            saved = self._workers((item_id, body))
        except WorkerLost as error:
            raise Rejected("undecodable", f"the decoder failed: {error}") from error
        if isinstance(saved, Exception):
            raise saved
        return saved


def _save_or_reject(
    save: Callable[[Store, str, bytes, Crawl], Entry], store: Store, policy: Crawl, media: tuple[str, bytes]
) -> Entry | Rejected | OSError:
    try:
        return save(store, *media, policy)
    except (Rejected, OSError) as error:
        return error
