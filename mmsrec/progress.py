"""Shows the progress of long work as a bar on a terminal, and as log lines elsewhere."""

import logging
import sys
from io import StringIO
from typing import Any

from tqdm import tqdm

logger = logging.getLogger(__name__)


class _LogStream(StringIO):
    """Logs tqdm's bar as a line."""

    def write(self, text: str) -> int:
        if line := text.strip("\r\n "):
            logger.info("%s", line)
        return len(text)


def progress(description: str, total: int | None, unit: str = "it", **options: Any) -> tqdm:
    """Returns a progress bar. Use it as a context manager and call its `update(n)`.

    Without a terminal, a line is logged every 10 seconds. Work that takes less time logs no line.
    """
    if sys.stderr.isatty():
        return tqdm(desc=description, total=total, unit=unit, dynamic_ncols=True, leave=False, **options)
    quiet = {"file": _LogStream(), "delay": 10, "mininterval": 10, "ncols": 0}
    return tqdm(desc=description, total=total, unit=unit, leave=False, **quiet, **options)
