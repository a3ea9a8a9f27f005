"""How long to wait before another try."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def exponential(failures: int, first: float, longest: float) -> float:
    """Seconds before the next try: `first`, doubled with each failure, up to `longest`, minus up to half by chance.

    The chance keeps clients that failed together from coming back together.
    """
    return min(first * 2 ** (failures - 1), longest) * random.uniform(0.5, 1)  # noqa: S311 - no secret


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as an HTTP date; None if absent or unreadable.

    Source: RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date in "-0000" is UTC by RFC 5322, but comes without a zone.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
