"""The ledger: one state for each item. A log keeps the entries of a killed crawl; the final table is written last.

The log has one JSON object a line. Each finished item appends a line, so a written line survives the process. An
incomplete last line is dropped. The format works on network file systems; SQLite's WAL mode does not.
"""

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple, Self, get_args

import pyarrow as pa
from pydantic import AfterValidator, Field, ValidationError

from mmsrec.artifacts import SCHEMAS, write_table
from mmsrec.crawl.entry import Entry, State
from mmsrec.errors import ArtifactError
from mmsrec.settings.row import Frozen, Natural
from mmsrec.urls import without_credentials

logger = logging.getLogger(__name__)

STATES = get_args(State)
Review = Callable[[list[Entry]], list[Entry]]
SYNC_SECONDS = 1.0


class _Terms(NamedTuple):
    """The request of an item, and the digest of the rules under which the item was finished."""

    asked: str | None
    rules: str


def _shown(url: str | None) -> str | None:
    return url and _text(without_credentials(url))


def _text(text: str) -> str:
    """The text without halves of surrogate pairs, which a stranger's JSON may hold, and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError("must be a path below the ledger's folder")
    return path


class _Line(Frozen):
    """A line of the log, with the fields of `Entry` and `_Terms`."""

    item_id: str
    state: State
    url: str | None = None
    status: Annotated[int, Field(ge=0, le=65_535)] | None = None
    bytes: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    sha256: str | None = None
    attempts: Natural = 0
    error: str | None = None
    path: Annotated[str, Field(max_length=200), AfterValidator(_below)] | None = None
    asked: str | None
    rules: str


COLUMNS = tuple(field.name for field in fields(Entry))


class Ledger:
    """The log of one crawl. Only one thread of one process may write to it.

    Args:
        path: the log. Paths of media are relative to its folder.
        rules: digest of the rules that determine an item's state. An entry without media is valid under the same
            rules only.

    Raises:
        ArtifactError: a line before the last one is damaged.
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

    def is_final(self, item_id: str, request: str | None) -> bool:
        """Whether an item needs no further try, because an equal request reached a final state.

        The state `ok` is final while the file has its recorded size. Other states are final under the same rules.
        The state `failed` is never final.
        """
        entry = self._entries.get(item_id)
        if entry is None or entry.state == "failed":
            return False
        terms = self._terms[item_id]
        request = _shown(request)
        if entry.state == "ok":
            return terms.asked == request and _size(self._path.parent / str(entry.path)) == entry.bytes
        return terms == _Terms(request, self._rules)

    def record(self, entry: Entry, request: str | None) -> None:
        """Appends an item's entry and request, without the credentials of their URLs.

        The entry replaces an earlier entry of the same item.
        """
        entry = replace(entry, url=_shown(entry.url), error=entry.error and _text(entry.error))
        terms = _Terms(_shown(request), self._rules)
        line = {name: value for name in COLUMNS if (value := getattr(entry, name)) is not None}
        self._log.write(json.dumps(line | terms._asdict(), ensure_ascii=False).encode() + b"\n")
        self._log.flush()
        self._remember(entry, terms)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def finalise(self, path: Path, item_ids: Iterable[str], review: Review = list) -> Counter[str]:
        """Writes the table of these items, sorted by item. Equal entries give equal files.

        Args:
            path: the table.
            item_ids: the items.
            review: receives the entries of all items and returns those that are written. The log keeps the former.

        Returns:
            The number of items in each state.

        Raises:
            ArtifactError: an item has no entry.
        """
        items = sorted(item_ids)
        if missing := [item for item in items if item not in self._entries]:
            raise ArtifactError(
                "The crawl has not finished every item.",
                where=self._path,
                found=f"{len(missing):,} items without an entry, the first {missing[0]}",
                fix="Run the crawl again: it resumes.",
            )
        entries = review([self._entries[item] for item in items])
        columns = {name: [getattr(entry, name) for entry in entries] for name in COLUMNS}
        write_table(path, pa.table(columns, schema=SCHEMAS["ledger"]), SCHEMAS["ledger"])
        return Counter(columns["state"])

    def _remember(self, entry: Entry, terms: _Terms) -> None:
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
            logger.info("%s: the last line is incomplete and is dropped", self._path)
            os.truncate(self._path, whole)
        for number, line in enumerate(content[:whole].splitlines(), 1):
            self._remember(*_parse(line, f"{self._path}, line {number}"))


def _parse(line: bytes, where: str) -> tuple[Entry, _Terms]:
    try:
        found = dict(_Line.model_validate_json(line))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False)[0]
        raise ArtifactError(
            "The log of a crawl is damaged.",
            where=where,
            expected="a JSON object with the columns of the ledger",
            found=": ".join([*map(str, detail["loc"]), detail["msg"]]),
            fix="Delete the line. The next crawl fetches its item again.",
        ) from error
    terms = _Terms(found.pop("asked"), found.pop("rules"))
    return Entry(**found), terms


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
