"""The kinds of media that a crawl keeps: how each is told from its first bytes, and how it is stored."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from mmsrec.crawl import picture_check, video_formats
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.outcome import Entry, Rejected
from mmsrec.workers import WorkerLost, Workers, cores

KEEP_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Kind:
    """One kind of media.

    Attributes:
        name: in messages, after "a".
        sniff: the format that a file starts as, from its first 16 bytes, or None.
        keep: verifies and stores an item's media, of at most so many pixels; raises `Rejected` with the ledger's state.
    """

    name: str
    sniff: Callable[[bytes], str | None]
    keep: Callable[[Store, str, bytes, int], Entry]


def _keep_video(store: Store, item_id: str, body: bytes, _: int) -> Entry:
    return store.keep_video(item_id, body)


PICTURES = Kind("picture", picture_check.sniff, Store.keep_picture)
VIDEOS = Kind("video", video_formats.sniff, _keep_video)


class Keepers:
    """Processes that keep media: the decoders of pictures may crash on hostile input, and threads wait for each other.

    Args:
        kind: of the media.
        store: where they go.
        max_pixels: of a picture.
    """

    def __init__(self, kind: Kind, store: Store, max_pixels: int) -> None:
        self._workers = Workers(partial(_keep_or_reject, kind.keep, store, max_pixels), cores(), KEEP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.stop()

    def __call__(self, item_id: str, body: bytes) -> Entry:
        """Keeps an item's media in one of the processes; safe in many threads.

        Raises:
            Rejected: as `Kind.keep`, and undecodable where the process died or did not answer.
        """
        try:
            kept = self._workers((item_id, body))
        except WorkerLost as error:
            raise Rejected("undecodable", f"the decoder failed: {error}") from error
        if isinstance(kept, Rejected):
            raise kept
        return kept


def _keep_or_reject(
    keep: Callable[[Store, str, bytes, int], Entry], store: Store, max_pixels: int, media: tuple[str, bytes]
) -> Entry | Rejected:
    try:
        return keep(store, *media, max_pixels)
    except Rejected as rejected:
        return rejected
