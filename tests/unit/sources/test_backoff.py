from datetime import UTC, datetime

import pytest

from mmsrec.sources.backoff import exponential, retry_after

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 7 ", 7),
        ("Wed, 01 May 2024 12:00:30 GMT", 30),
        ("Wed, 01 May 2024 12:00:30 -0000", 30),
        ("Wed, 01 May 2024 14:00:30 +0200", 30),
        ("Wed, 01 May 2024 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after(header, NOW) == seconds


def test_the_pause_doubles_up_to_a_bound_and_varies():
    pauses = [[exponential(failures, first=1, longest=10) for _ in range(50)] for failures in (1, 2, 3, 9)]
    for longest, drawn in zip((1, 2, 4, 10), pauses, strict=True):
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
