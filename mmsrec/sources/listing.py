"""The listing of a corpus' shards: repository, commit, and the size and digest of each file."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from mmsrec.errors import ArtifactError, DownloadError
from mmsrec.files import read_json

LISTING = "shards.json"
MAX_FILES = 100_000

_SAFE = re.compile(r"[\w-][\w.=-]*(/[\w-][\w.=-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a dataset on the hub whose path matches a pattern.

    Attributes:
        repository: OWNER/NAME.
        revision: branch, tag or commit.
        files: pattern of paths. * and ? do not match a slash.
    """

    repository: str
    revision: str
    files: str


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of the listing. `sha256` is None if the hub does not state it and the file is not downloaded yet."""

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a corpus, in the order of their paths. `commit` is None if they come from a mirror."""

    selection: Selection
    commit: str | None
    shards: tuple[Shard, ...]


def read_listing(path: Path) -> Listing:
    """Reads a shards.json.

    Raises:
        ArtifactError: the file is missing or is no listing.
        DownloadError: the listing has an unsafe path.
    """
    raw = read_json(path)
    try:
        shards = tuple(Shard(**shard) for shard in raw["shards"])
        if any(not isinstance(shard.path, str) or type(shard.bytes) is not int for shard in shards):
            raise TypeError("a shard needs a path and its bytes")
        listing = Listing(Selection(**raw["selection"]), raw["commit"], shards)
    except (TypeError, KeyError) as error:
        raise ArtifactError(
            "A listing of shards is not valid.",
            where=path,
            found=error,
            fix="Delete it and run the stage that downloads the corpus.",
        ) from error
    for shard in listing.shards:
        _check_path(shard.path, path)
    return listing


def select(found: Iterable[Shard], selection: Selection) -> tuple[Shard, ...]:
    """The files whose path matches, in the order of their paths. It returns at most MAX_FILES + 1 files."""
    parts = selection.files.split("/")

    def matches(path: str) -> bool:
        found = path.split("/")
        return len(found) == len(parts) and all(map(fnmatchcase, found, parts))

    chosen = islice((shard for shard in found if matches(shard.path)), MAX_FILES + 1)
    return tuple(sorted(chosen, key=lambda shard: shard.path))


def check(listing: Listing, max_bytes: int) -> Listing:
    """Returns the listing if it can be downloaded.

    Raises:
        DownloadError: it is empty or too large, or a file has an unsafe name.
    """
    selection, total = listing.selection, sum(shard.bytes for shard in listing.shards)
    where = f"datasets/{selection.repository}@{selection.revision}: {selection.files}"
    for shard in listing.shards:
        _check_path(shard.path, where)
    if not listing.shards:
        raise DownloadError(
            "No file of the repository matches.", where=where, fix="Correct the corpus' files in params.yaml."
        )
    if len(listing.shards) > MAX_FILES or total > max_bytes:
        raise DownloadError(
            "The files of the repository are too many or too large.",
            where=where,
            expected=f"at most {MAX_FILES:,} files and {max_bytes:,} bytes",
            found=f"{len(listing.shards):,} files, {total:,} bytes",
            fix="Narrow the corpus' files in params.yaml.",
        )
    return listing


def _check_path(path: str, where: object) -> None:
    if not _SAFE.fullmatch(path):
        raise DownloadError(
            "A file of the repository has no safe name.",
            where=where,
            expected="parts of letters, digits, '_', '-', '=' and '.', separated by '/'",
            found=repr(path),
        )
