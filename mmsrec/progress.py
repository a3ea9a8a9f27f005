"""Progress of long work: a bar with items/s and ETA on a terminal, a log line now and then elsewhere."""

import logging
import sys
from io import StringIO
from typing import Any

from tqdm import tqdm

logger = logging.getLogger(__name__)


class _LogStream(StringIO):
    """Takes tqdm's bar and logs it as a line."""

    def write(self, text: str) -> int:
        if line := text.strip("\r\n "):
            logger.info("%s", line)
        return len(text)


def progress(description: str, total: int | None, unit: str = "it", **options: Any) -> tqdm:
    """A progress bar to be used as a context manager; call its `update(n)`.

    Without a terminal a line is logged every 10 seconds, and none for work that is done sooner.
    """
    if sys.stderr.isatty():
        return tqdm(desc=description, total=total, unit=unit, dynamic_ncols=True, leave=False, **options)
    quiet = {"file": _LogStream(), "delay": 10, "mininterval": 10, "ncols": 0}
    return tqdm(desc=description, total=total, unit=unit, leave=False, **quiet, **options)
