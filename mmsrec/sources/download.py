"""Download of a source file from the first mirror or URL that serves it. The file is verified, and whole or absent."""

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

from mmsrec.errors import ArchiveError, ArtifactError, ChecksumError, DownloadError
from mmsrec.files import lock, read_json, sha256, write_json
from mmsrec.machine_errors import pass_full_disk
from mmsrec.sources.archive import open_member
from mmsrec.sources.file_registry import SourceFile
from mmsrec.sources.partial import Partial
from mmsrec.sources.pins import LockFile, Pin, accepting
from mmsrec.sources.transfer import DEFAULT_LIMITS, Limits, UnavailableError, download
from mmsrec.urls import without_credentials

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """The content of the JSON file beside a source file.

    Attributes:
        url: its source; `mirror:DATASET/FILE` for a mirror, DATASET/ARCHIVE.zip/MEMBER for the member of an archive,
            None for a file that the user put there.
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
    obtain: Callable[[Partial, Limits], None]


def record_path(destination: Path) -> Path:
    """The JSON file beside a source file."""
    return destination.with_name(f"{destination.name}.json")


def fetch(
    file: SourceFile,
    destination: Path,
    mirrors: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    pins: LockFile | None = None,
) -> Record:
    """Downloads `file` to `destination`, with a JSON record beside it. A verified file is not downloaded again.

    The file must match its digest in the registry and its pin, whatever place it comes from. A file without a pin is
    pinned. An interrupted download keeps its bytes beside the destination, and the next call resumes. A second process
    that downloads the same file waits for the first.

    Args:
        file: the registry's entry.
        destination: path of the downloaded file. An archive that holds the file is kept beside it.
        mirrors: folders or base URLs that contain DATASET/FILE. They are tried in order, before the file's URLs and
            its archive.
        limits: bounds of size, time and tries for each mirror or URL.
        pins: the lock file; None pins nothing. If it accepts changes, the file that is there is pinned.

    Raises:
        DownloadError: no mirror or URL could serve the file. The error names each with its reason.
        ChecksumError: no mirror or URL could serve the file, and at least one served a wrong file.
        RegistryError: the lock file is damaged.
    """
    destination = Path(destination)
    pins = None if file.varies else pins
    with lock(destination):
        if pins:
            pins.read()  # so that a damaged lock file is found before anything is downloaded
        if destination.exists() and (record := _accept_existing(file, destination, pins)):
            # A process that was killed after it had put the file in place leaves the state of its download.
            Partial(destination).discard()
            return record
        return _fetch(file, Partial(destination), mirrors, limits, pins)


def _accept_existing(file: SourceFile, destination: Path, pins: LockFile | None) -> Record | None:
    found = _record(destination, url=None)
    try:
        recorded = Record(**read_json(record_path(destination)))
    except (ArtifactError, TypeError):
        recorded = None
    if recorded and (recorded.sha256, recorded.bytes) != (found.sha256, found.bytes):
        if recorded.url and not (pins and pins.accepts):
            logger.warning("%s has changed since its download and is downloaded again", destination)
            return None
        recorded = None
    _verify(file, recorded or found, destination, pins)
    if recorded is None:
        write_json(record_path(destination), asdict(found))
    return recorded or found


def _fetch(file: SourceFile, part: Partial, mirrors: Sequence[str], limits: Limits, pins: LockFile | None) -> Record:
    limits = replace(limits, max_bytes=min(limits.max_bytes, file.bytes or limits.max_bytes))
    reasons, wrong = [], False
    for place in _places(file, mirrors, pins):
        try:
            place.obtain(part, limits)
            record = _record(part.path, place.recorded_as)
            _verify(file, record, place.address, pins)
        except UnavailableError as error:
            reasons.append(f"{place.address}: {error}")
        except ChecksumError as error:
            part.discard()
            wrong = True
            reasons.append(f"{place.address}: expected {error.details['expected']}, found {error.details['found']}")
        else:
            # The record is written first: a file without a record counts as put there by the user.
            write_json(record_path(part.destination), asdict(record))
            _keep(part.destination)
            part.publish()
            logger.info("%s: %s bytes from %s", part.destination, f"{record.bytes:,}", place.address)
            return record
        logger.warning("%s", reasons[-1])
    pin = pins.read().get(file.path) if pins else None
    advice = (
        f"Set MMSREC_MIRROR to a folder or URL that contains {file.path}, edit its rows in workflow/sources.csv, "
        f"or put the file at {part.destination}."
    )
    raise (ChecksumError if wrong else DownloadError)(
        "A source file could not be fetched.",
        where=f"{file.path} ({file.note})" if file.note else file.path,
        expected=pin or _expected(file),
        found="".join(f"\n    {reason}" for reason in reasons) or "no mirror is set and the registry has no URL for it",
        fix=f"{advice} {accepting(file.path)}" if wrong and pin else advice,
    )


def _keep(destination: Path) -> None:
    """Moves a file that differs from its download aside: it may be the user's own, and the only copy."""
    if destination.exists():
        kept = destination.with_name(f"{destination.name}.before")
        destination.replace(kept)
        logger.warning("the file that was at %s is kept as %s", destination, kept)


def _places(file: SourceFile, mirrors: Sequence[str], pins: LockFile | None) -> Iterator[_Place]:
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{file.path}"
        yield _Place(without_credentials(address), f"mirror:{file.path}", partial(_obtain, address))
    for url in file.urls:
        shown = without_credentials(url)
        yield _Place(shown, shown, partial(_obtain, url))
    if file.archive:
        address = f"{file.archive.path}/{file.member}"
        yield _Place(address, address, partial(_unpack, file, mirrors, pins))


def _obtain(address: str, part: Partial, limits: Limits) -> None:
    if address.startswith(("http://", "https://")):
        download(address, part, limits)
    else:
        _copy(Path(address), part, limits)


def _copy(source: Path, part: Partial, limits: Limits) -> None:
    try:
        if not source.is_file():
            raise UnavailableError("no such file")
        if (size := source.stat().st_size) > limits.max_bytes:
            raise UnavailableError(f"it has {size:,} bytes, more than the {limits.max_bytes:,} allowed")
        part.discard()
        shutil.copyfile(source, part.path)
    except OSError as error:
        pass_full_disk(error)
        raise UnavailableError(str(error)) from error


def _unpack(file: SourceFile, mirrors: Sequence[str], pins: LockFile | None, part: Partial, limits: Limits) -> None:
    """Fetches the archive of a file, keeps it beside the file's destination, and unpacks the file.

    A change of the archive is accepted for itself only.
    """
    pins = replace(pins, accepts=False) if pins else None
    archive = part.destination.with_name(PurePosixPath(file.archive.path).name)
    try:
        fetch(file.archive, archive, mirrors, replace(limits, max_bytes=DEFAULT_LIMITS.max_bytes), pins)
        part.discard()
        with open_member(archive, file.member) as member, part.path.open("wb") as target:
            while chunk := member.read(_CHUNK):
                if target.tell() + len(chunk) > limits.max_bytes:
                    raise UnavailableError(f"it has more than the {limits.max_bytes:,} bytes allowed")
                target.write(chunk)
    except (DownloadError, ArchiveError) as error:
        raise UnavailableError(str(error).replace("\n", "\n    ")) from error


def _record(path: Path, url: str | None) -> Record:
    return Record(url, sha256(path), path.stat().st_size, datetime.now(UTC).isoformat(timespec="seconds"))


def _verify(file: SourceFile, record: Record, where: object, pins: LockFile | None) -> None:
    if record.sha256 != (file.sha256 or record.sha256) or record.bytes != (file.bytes or record.bytes):
        raise ChecksumError(
            "A file differs from its entry in the registry.",
            where=where,
            expected=_expected(file),
            found=f"sha256 {record.sha256}, {record.bytes:,} bytes",
            fix=f"{_mending(record)}, or correct its rows in workflow/sources.csv.",
        )
    if pins:
        pins.pin(Pin(file.path, record.url or "", record.sha256, record.bytes))


def _mending(record: Record) -> str:
    """The advice about a damaged file: a file that was not downloaded is the user's own and may be the only copy."""
    return "Put the right file in its place" if record.url is None else "Delete it and run this stage again"


def _expected(file: SourceFile) -> str:
    facts = [f"sha256 {file.sha256}" if file.sha256 else "", f"{file.bytes:,} bytes" if file.bytes else ""]
    return ", ".join(fact for fact in facts if fact) or "a file from any mirror or URL (its digest is unknown)"
