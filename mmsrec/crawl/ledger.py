"""The ledger: every item in exactly one state, kept through kills in a log, sealed as a table at the end.

The log is JSON lines, appended as items are settled: a line that was written outlives the process, and a torn last
line is dropped. It works on network file systems, where SQLite's write-ahead log does not.
"""

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple, Self, get_args

import pyarrow as pa

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.crawl.outcome import Entry, State
from mmsrec.errors import ArtifactError

logger = logging.getLogger(__name__)

STATES = get_args(State)
SYNC_SECONDS = 1.0


class _Terms(NamedTuple):
    """What an item asked for, and the digest of the rules that it was settled under."""

    asked: str | None
    rules: str


COLUMNS = tuple(field.name for field in fields(Entry))


class Ledger:
    """The log of one crawl; one thread of one process may write to it.

    Args:
        path: the log; media paths are relative to its folder.
        rules: digest of the rules that settle an item; an entry without media counts only under the same rules.

    Raises:
        ArtifactError: the log is damaged before its last line.
    """

    def __init__(self, path: Path, rules: str) -> None:
        self._path = path
        self._rules = rules
        self._entries: dict[str, Entry] = {}
        self._terms: dict[str, _Terms] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._replay()
        self._log = path.open("ab")
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sync()
        self._log.close()

    def settled(self, item_id: str, asked: str | None) -> bool:
        """Whether an item needs no further try: it reached a final state when it asked for the same thing.

        A file counts while it has the size that the ledger says, any other state while the rules are the same.
        """
        entry = self._entries.get(item_id)
        if entry is None or entry.state == "failed":
            return False
        terms = self._terms[item_id]
        if entry.state == "ok":
            return terms.asked == asked and _size(self._path.parent / str(entry.path)) == entry.bytes
        return terms == _Terms(asked, self._rules)

    def record(self, entry: Entry, asked: str | None) -> None:
        """Settles an item that asked for `asked`; an earlier entry of the item no longer counts."""
        terms = _Terms(asked, self._rules)
        row = {name: value for name in COLUMNS if (value := getattr(entry, name)) is not None}
        self._log.write(json.dumps(row | terms._asdict(), ensure_ascii=False).encode() + b"\n")
        self._log.flush()
        self._keep(entry, terms)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def seal(self, path: Path, item_ids: Iterable[str]) -> Counter[str]:
        """Writes the table of these items, sorted by item, and gives the number of items in each state.

        Equal outcomes give equal files.

        Raises:
            ArtifactError: an item has no entry.
        """
        wanted = sorted(item_ids)
        if missing := [item for item in wanted if item not in self._entries]:
            raise ArtifactError(
                "The crawl has not settled every item.",
                where=self._path,
                found=f"{len(missing):,} items without an entry, the first {missing[0]}",
                fix="Run the crawl again: it goes on where it ended.",
            )
        entries = [self._entries[item] for item in wanted]
        columns = {name: [getattr(entry, name) for entry in entries] for name in COLUMNS}
        write_table(path, pa.table(columns, schema=SCHEMAS["ledger"]), SCHEMAS["ledger"])
        return Counter(columns["state"])

    def _keep(self, entry: Entry, terms: _Terms) -> None:
        self._entries[entry.item_id] = entry
        self._terms[entry.item_id] = terms

    def _sync(self) -> None:
        os.fsync(self._log.fileno())
        self._synced = time.monotonic()

    def _replay(self) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logger.info("%s: the last line was cut short and is dropped", self._path)
            os.truncate(self._path, whole)
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                row = json.loads(line)
                terms = _Terms(row.pop("asked"), row.pop("rules"))
                entry = Entry(**row)
                if entry.state not in STATES:
                    raise ValueError(f"unknown state {entry.state!r}")
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ArtifactError(
                    "The log of a crawl is damaged.",
                    where=f"{self._path}, line {number}",
                    expected="a JSON object with the columns of the ledger",
                    found=error,
                    fix="Delete the line: its item is then fetched again.",
                ) from error
            self._keep(entry, terms)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
