"""Download of a source file from the first mirror or URL that serves it. The file is verified, and whole or absent."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mmsrec.errors import ArtifactError, ChecksumError, DownloadError
from mmsrec.files import lock, read_json, sha256, write_json
from mmsrec.sources.file_registry import SourceFile
from mmsrec.sources.partial import Partial
from mmsrec.sources.transfer import DEFAULT_LIMITS, Limits, UnavailableError, download

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """The content of the JSON file beside a source file.

    Attributes:
        url: its source; `mirror:DATASET/FILE` for a mirror, None for a file that the user put there.
        sha256: its digest, 64 hexadecimal digits.
        bytes: its size.
        date: time of the download, UTC, ISO 8601.
    """

    url: str | None
    sha256: str
    bytes: int
    date: str


@dataclass(frozen=True, slots=True)
class _Place:
    address: str
    recorded_as: str


def record_path(destination: Path) -> Path:
    """The JSON file beside a source file."""
    return destination.with_name(f"{destination.name}.json")


def fetch(file: SourceFile, destination: Path, mirrors: Sequence[str] = (), limits: Limits = DEFAULT_LIMITS) -> Record:
    """Downloads `file` to `destination`, with a JSON record beside it. A verified file is not downloaded again.

    An interrupted download keeps its bytes beside the destination, and the next call resumes. A second process that
    downloads the same file waits for the first.

    Args:
        file: the registry's entry.
        destination: path of the downloaded file.
        mirrors: folders or base URLs that contain DATASET/FILE. They are tried in order, before the file's URLs.
        limits: bounds of size, time and tries for each mirror or URL.

    Raises:
        DownloadError: no mirror or URL could serve the file. The error names each with its reason.
        ChecksumError: no mirror or URL could serve the file, and at least one served a wrong file.
    """
    destination = Path(destination)
    with lock(destination):
        if destination.exists() and (record := _accept_existing(file, destination)):
            return record
        return _fetch(file, Partial(destination), mirrors, limits)


def _accept_existing(file: SourceFile, destination: Path) -> Record | None:
    found = _record(destination, url=None)
    try:
        recorded = Record(**read_json(record_path(destination)))
    except (ArtifactError, TypeError):
        recorded = None
    if recorded and (recorded.sha256, recorded.bytes) != (found.sha256, found.bytes):
        logger.warning("%s has changed since its download and is downloaded again", destination)
        return None
    _verify(file, found, destination)
    if recorded is None:
        write_json(record_path(destination), asdict(found))
    return recorded or found


def _fetch(file: SourceFile, partial: Partial, mirrors: Sequence[str], limits: Limits) -> Record:
    limits = replace(limits, max_bytes=min(limits.max_bytes, file.bytes or limits.max_bytes))
    reasons, kind = [], DownloadError
    for place in _places(file, mirrors):
        try:
            _obtain(place.address, partial, limits)
            record = _record(partial.path, place.recorded_as)
            _verify(file, record, place.address)
        except UnavailableError as error:
            reasons.append(f"{place.address}: {error}")
        except ChecksumError as error:
            partial.discard()
            kind = ChecksumError
            reasons.append(f"{place.address}: expected {error.details['expected']}, found {error.details['found']}")
        else:
            # The record is written first: a file without a record counts as put there by the user.
            write_json(record_path(partial.destination), asdict(record))
            partial.publish()
            logger.info("%s: %s bytes from %s", partial.destination, f"{record.bytes:,}", place.address)
            return record
        logger.warning("%s", reasons[-1])
    raise kind(
        "A source file could not be fetched.",
        where=file.path,
        expected=_expected(file),
        found="".join(f"\n    {reason}" for reason in reasons) or "no mirror is set and the registry has no URL for it",
        fix=f"Set MMSREC_MIRROR to a folder or URL that contains {file.path}, edit its rows in workflow/sources.csv, "
        f"or put the file at {partial.destination}.",
    )


def _places(file: SourceFile, mirrors: Sequence[str]) -> Iterator[_Place]:
    for mirror in mirrors:
        yield _Place(f"{mirror.rstrip('/')}/{file.path}", f"mirror:{file.path}")
    for url in file.urls:
        yield _Place(url, url)


def _obtain(address: str, partial: Partial, limits: Limits) -> None:
    if address.startswith(("http://", "https://")):
        download(address, partial, limits)
    else:
        _copy(Path(address), partial, limits)


def _copy(source: Path, partial: Partial, limits: Limits) -> None:
    try:
        if not source.is_file():
            raise UnavailableError("no such file")
        if (size := source.stat().st_size) > limits.max_bytes:
            raise UnavailableError(f"it has {size:,} bytes, more than the {limits.max_bytes:,} allowed")
        partial.discard()
        shutil.copyfile(source, partial.path)
    except OSError as error:
        raise UnavailableError(str(error)) from error


def _record(path: Path, url: str | None) -> Record:
    return Record(url, sha256(path), path.stat().st_size, datetime.now(UTC).isoformat(timespec="seconds"))


def _verify(file: SourceFile, record: Record, where: object) -> None:
    if record.sha256 != (file.sha256 or record.sha256) or record.bytes != (file.bytes or record.bytes):
        raise ChecksumError(
            "A file differs from its entry in the registry.",
            where=where,
            expected=_expected(file),
            found=f"sha256 {record.sha256}, {record.bytes:,} bytes",
            fix="Delete it, or correct its rows in workflow/sources.csv.",
        )


def _expected(file: SourceFile) -> str:
    facts = [f"sha256 {file.sha256}" if file.sha256 else "", f"{file.bytes:,} bytes" if file.bytes else ""]
    return ", ".join(fact for fact in facts if fact) or "a file from any mirror or URL (its digest is unknown)"
