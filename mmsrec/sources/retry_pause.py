"""The pause before another try: doubled with each failure, or as long as the server requests."""

import random

from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry


def doubled_pause(failures: int, first: float, longest: float) -> float:
    """Returns the seconds before the next try: `first * 2**(failures - 1)`, at most `longest`, times 0.5 to 1.

    The random factor spreads the tries of clients that failed at the same time.
    """
    return min(first * 2 ** (failures - 1), longest) * random.uniform(0.5, 1)  # noqa: S311 - no secret


def requested_pause(retry_after: str | None, longest: float) -> float | None:
    """Returns the seconds that a Retry-After header requests, at most `longest`.

    urllib3 reads the header: a number of seconds or an HTTP date (RFC 9110, section 10.2.3).

    Returns:
        None if the header is absent or unreadable.
    """
    if retry_after is None:
        return None
    try:
        return float(Retry(retry_after_max=longest).parse_retry_after(retry_after))
    # Python refuses a number of more than 4,300 digits and a date that its calendar does not have.
    except (InvalidHeader, ValueError, OverflowError):
        return None
