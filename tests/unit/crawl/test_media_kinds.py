"""Separate processes store media: results and rejections come back, and a crash costs one item."""

import os
from pathlib import Path

import pytest

from mmsrec.crawl.entry import Entry, Rejected
from mmsrec.crawl.media_kinds import PICTURES, Kind, MediaSavers
from mmsrec.crawl.media_store import Store
from mmsrec.settings.crawling import Crawl
from tests.unit.crawl.examples import picture, policy


def save_or_crash(store: Store, item_id: str, body: bytes, rules: Crawl) -> Entry:
    """Runs in a separate process."""
    if item_id == "bomb":
        os.abort()
    return store.save_picture(item_id, body, rules)


def test_a_picture_is_saved(tmp_path: Path) -> None:
    with Store(tmp_path) as store, MediaSavers(PICTURES, store, policy()) as save:
        entry = save("a", picture())
    assert (tmp_path / str(entry.path)).read_bytes() == picture()


def test_a_rejection_comes_back_unchanged(tmp_path: Path) -> None:
    with (
        Store(tmp_path) as store,
        MediaSavers(PICTURES, store, policy(max_pixels=10)) as save,
        pytest.raises(Rejected, match="more pixels") as caught,
    ):
        save("a", picture())
    assert caught.value.state == "undecodable"


def test_a_crash_of_a_decoder_costs_one_item(tmp_path: Path) -> None:
    kind = Kind("picture", PICTURES.sniff, save_or_crash)
    with Store(tmp_path) as store, MediaSavers(kind, store, policy()) as save:
        with pytest.raises(Rejected, match="the decoder failed: the process ended with status -6"):
            save("bomb", picture())
        assert save("a", picture()).state == "ok"


def test_a_disk_that_takes_no_file_is_no_state_of_an_item(tmp_path: Path) -> None:
    with Store(tmp_path) as store, MediaSavers(PICTURES, store, policy()) as save:
        store.partial.rmdir()
        with pytest.raises(FileNotFoundError):
            save("a", picture())
