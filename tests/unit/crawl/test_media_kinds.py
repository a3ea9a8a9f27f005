"""Media are kept in processes of their own: results and rejections come back, a crash costs one item."""

import os
from pathlib import Path

import pytest

from mmsrec.crawl.media_kinds import PICTURES, Keepers, Kind
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.outcome import Entry, Rejected
from tests.unit.crawl.examples import picture


def keep_or_crash(store: Store, item_id: str, body: bytes, max_pixels: int) -> Entry:
    """Runs in a process of its own."""
    if item_id == "bomb":
        os.abort()
    return store.keep_picture(item_id, body, max_pixels)


def test_a_picture_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Keepers(PICTURES, store, 10**6) as keep:
        entry = keep("a", picture())
    assert (tmp_path / str(entry.path)).read_bytes() == picture()


def test_a_rejection_comes_back_as_it_was(tmp_path: Path) -> None:
    with (
        Store(tmp_path) as store,
        Keepers(PICTURES, store, 10) as keep,
        pytest.raises(Rejected, match="more pixels") as caught,
    ):
        keep("a", picture())
    assert caught.value.state == "undecodable"


def test_a_crash_of_a_decoder_costs_one_item(tmp_path: Path) -> None:
    kind = Kind("picture", PICTURES.sniff, keep_or_crash)
    with Store(tmp_path) as store, Keepers(kind, store, 10**6) as keep:
        with pytest.raises(Rejected, match="the decoder failed: the process ended with status -6"):
            keep("bomb", picture())
        assert keep("a", picture()).state == "ok"
