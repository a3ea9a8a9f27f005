from pathlib import Path

import pytest
from pydantic import ValidationError

from mmsrec.crawl.entry import Entry
from mmsrec.crawl.ledger import Ledger
from mmsrec.errors import DownloadError
from mmsrec.settings.crawling import Vision
from mmsrec.urls import without_credentials, without_credentials_in


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@a.example/x", "http://a.example/x"),
        ("http://me@a.example", "http://a.example"),
        ("http://me:se@cret@a.example/", "http://a.example/"),
        ("http://me:se/cret@a.example/x", "http://a.example/x"),
        ("http://me:my secret@a.example/x", "http://a.example/x"),
        ("//me:secret@a.example/x", "//a.example/x"),
        ("http:\\\\me:secret@a.example/x", "http:\\\\a.example/x"),
        # An @ after the host is no credential.
        ("https://a.example/photos/12@N00/x", "https://a.example/photos/12@N00/x"),
        ("http://a.example:80/x@y", "http://a.example:80/x@y"),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
        ("videos/a@b.mp4", "videos/a@b.mp4"),
        ("ytsearch3:me@home trailer", "ytsearch3:me@home trailer"),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_a_message_shows_no_credentials() -> None:
    message = "see http://me:secret@a.example/x and https://b.example/y@z"

    assert without_credentials_in(message) == "see http://a.example/x and https://b.example/y@z"
    assert "secret" not in str(DownloadError("No.", where=message))


def test_the_log_of_a_crawl_has_no_credentials_and_the_item_stays_final(tmp_path: Path) -> None:
    url = "http://me:secret@a.example/x"
    with Ledger(tmp_path / "ledger.jsonl", "rules") as ledger:
        ledger.record(Entry("1", "refused", url), url)

    assert "secret" not in (tmp_path / "ledger.jsonl").read_text()
    with Ledger(tmp_path / "ledger.jsonl", "rules") as ledger:
        assert ledger.is_final("1", url)
        assert not ledger.is_final("1", "http://b.example/x")


def test_the_settings_refuse_credentials() -> None:
    with pytest.raises(ValidationError, match="must not contain credentials"):
        Vision(kind="poster", pattern="http://me:secret@a.example/{item_id}.jpg")
