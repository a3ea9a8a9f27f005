import time

import pytest

from mmsrec.sources.retry_pause import doubled_pause, requested_pause

NOW = 1_714_564_800.0  # 2024-05-01 12:00:00 UTC


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("Wed, 01 May 2024 12:00:30 GMT", 30),
        ("Wed, 01 May 2024 12:00:30 -0000", 30),
        ("Wed, 01 May 2024 14:00:30 +0200", 30),
        ("Wed, 01 May 2024 11:00:00 GMT", 0),
        ("Wed, 01 May 2024 19:00:00 GMT", 60),
        ("86400", 60),
        ("9" * 4000, 60),
        ("9" * 5000, None),
        ("Wed, 01 May 99999999999 12:00:30 GMT", None),
        ("soon", None),
        ("-5", None),
        ("7.5", None),
        ("\xe9", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_is_bounded(monkeypatch, header, seconds):
    monkeypatch.setattr(time, "time", lambda: NOW)
    assert requested_pause(header, longest=60) == seconds


def test_the_pause_doubles_up_to_a_bound_and_varies():
    pauses = [[doubled_pause(failures, first=1, longest=10) for _ in range(50)] for failures in (1, 2, 3, 9)]
    for longest, drawn in zip((1, 2, 4, 10), pauses, strict=True):
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
