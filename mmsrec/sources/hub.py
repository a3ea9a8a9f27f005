"""Download of a dataset's shards from the hub: list them at a pinned commit, download and verify each file.

The endpoint and the token are huggingface_hub's settings HF_ENDPOINT and HF_TOKEN. A mirror is a folder that contains
hub/OWNER/NAME with the files of the repository.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import httpx2
from huggingface_hub import HfApi, RepoFile, get_session

from mmsrec.errors import ChecksumError, DownloadError
from mmsrec.files import lock, sha256, write_json
from mmsrec.machine_errors import pass_full_disk
from mmsrec.progress import progress
from mmsrec.sources.hub_progress import Meter, Total
from mmsrec.sources.listing import LISTING, Listing, Selection, Shard, check, read_listing, select

logger = logging.getLogger(__name__)

# The listing of an unfinished download, and the folder of its unfinished files.
PENDING = ".shards.json"
PARTIAL = ".partial"
CONNECTIONS = 4
MAX_BYTES = 8 * 2**40
WAIT_SECONDS = 60.0
# Largest body of an answer that is no file: a page of a listing, a redirect or an error. An encoded body may expand a
# thousandfold, so it has a smaller bound.
MAX_ANSWER_BYTES = 64 * 2**20
MAX_ENCODED_BYTES = 2**20

# The errors of huggingface_hub: OSErrors, ValueErrors, and the unchanged errors of its HTTP library. A listing with
# other keys or types than the hub's raises the others.
_REFUSALS = (OSError, ValueError, httpx2.HTTPError, LookupError, TypeError, AttributeError, RecursionError)


def download_shards(
    selection: Selection,
    folder: Path,
    mirrors: Sequence[Path] = (),
    *,
    connections: int = CONNECTIONS,
    endpoint: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Listing:
    """Downloads the files into `folder` under their paths, and then writes shards.json.

    The first run pins the commit. A later run keeps the finished files. If a connection breaks within a run, the
    file resumes at its last whole chunk of 10 MB, the chunk size of huggingface_hub.

    Args:
        selection: the files to download.
        folder: folder of the corpus.
        mirrors: folders that are tried first. A mirror without the repository is skipped.
        connections: number of files that download at the same time.
        endpoint: URL of the hub. None means HF_ENDPOINT or the public hub.
        max_bytes: largest size of all files together.

    Raises:
        DownloadError: the hub cannot serve the files, no file matches, or they are too many or too large.
        ChecksumError: the size or the digest of a file differs from the hub's listing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder):
        source = _source(selection, mirrors, endpoint)
        pinned = _pinned(folder, selection, source)
        listing = pinned or check(source.list(), max_bytes)
        missing = [shard for shard in listing.shards if not _is_finished(folder, shard, checked=pinned is not None)]
        write_json(folder / PENDING, asdict(listing))
        (folder / LISTING).unlink(missing_ok=True)
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
        logger.info("%s: %d of %d files are finished", folder, len(listing.shards) - len(missing), len(listing.shards))
        with (
            progress("download", sum(shard.bytes for shard in missing), "B", unit_scale=True) as bar,
            ThreadPoolExecutor(connections) as workers,
        ):
            total = Total(bar)
            jobs = [workers.submit(_obtain, source, listing, shard, folder, total) for shard in missing]
            try:
                for job in jobs:
                    job.result()
            finally:
                total.stopped = True
                workers.shutdown(cancel_futures=True)
        listing = replace(listing, shards=tuple(_with_digest(folder, shard) for shard in listing.shards))
        write_json(folder / LISTING, asdict(listing))
        (folder / PENDING).unlink()
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    return listing


class _Source(Protocol):
    """A place that lists and serves the files of a repository."""

    pinned: bool

    def list(self) -> Listing: ...

    def fetch(self, listing: Listing, shard: Shard, folder: Path, bar: Total) -> Path:
        """Downloads the file to a path below `folder` and returns the path."""


class _Hub:
    pinned = True

    def __init__(self, selection: Selection, endpoint: str | None) -> None:
        self._selection = selection
        self._api = HfApi(endpoint=endpoint, library_name="mmsrec")
        _bound_answers()

    def list(self) -> Listing:
        selection = self._selection
        dataset = {"repo_id": selection.repository, "repo_type": "dataset"}
        parts = selection.files.split("/")
        fixed = next(number for number, part in enumerate([*parts, "*"]) if "*" in part or "?" in part)
        below = "/".join(parts[: min(fixed, len(parts) - 1)])
        try:
            commit = self._api.repo_info(**dataset, revision=selection.revision, timeout=WAIT_SECONDS).sha
            deep = len(parts) - 1 > fixed
            found = self._api.list_repo_tree(**dataset, path_in_repo=below or None, recursive=deep, revision=commit)
            files = (file for file in found if isinstance(file, RepoFile))
            shards = (Shard(file.path, file.size, file.lfs.sha256 if file.lfs else None) for file in files)
            return Listing(selection, commit, select(shards, selection))
        except _REFUSALS as error:
            raise _unavailable(
                f"{self._api.endpoint}: datasets/{selection.repository}@{selection.revision}", error
            ) from error

    def fetch(self, listing: Listing, shard: Shard, folder: Path, bar: Total) -> Path:
        try:
            path = self._api.hf_hub_download(
                listing.selection.repository,
                shard.path,
                repo_type="dataset",
                revision=listing.commit,
                local_dir=folder,
                tqdm_class=partial(Meter, bar, shard),
            )
        except _REFUSALS as error:
            pass_full_disk(error)
            where = f"{self._api.endpoint}: datasets/{listing.selection.repository}/{shard.path}@{listing.commit}"
            raise _unavailable(where, error) from error
        return Path(path)


class _Mirror:
    pinned = False

    def __init__(self, selection: Selection, root: Path) -> None:
        self._selection = selection
        self._root = root

    def list(self) -> Listing:
        files = (path for path in self._root.rglob("*") if path.is_file())
        shards = (Shard(path.relative_to(self._root).as_posix(), path.stat().st_size, None) for path in files)
        return Listing(self._selection, None, select(shards, self._selection))

    def fetch(self, listing: Listing, shard: Shard, folder: Path, bar: Total) -> Path:
        target = folder / shard.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(self._root / shard.path, target)
        except OSError as error:
            pass_full_disk(error)
            raise _unavailable(self._root / shard.path, error) from error
        bar.update(shard.bytes)
        return target


def _bound_answers() -> None:
    """Bounds the requests for which huggingface_hub sets no timeout, and the bodies that its library reads whole."""
    session = get_session()
    hooks = session.event_hooks
    if _set_timeout not in hooks["request"]:
        session.event_hooks = {
            "request": [*hooks["request"], _set_timeout],
            "response": [*hooks["response"], _bound_body],
        }


def _set_timeout(request: httpx2.Request) -> None:
    given = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {
        phase: WAIT_SECONDS if given.get(phase) is None else given[phase]
        for phase in ("connect", "read", "write", "pool")
    }


def _bound_body(answer: httpx2.Response) -> None:
    """Bounds each body that is read whole. A file is read in chunks, and `Meter` bounds it."""
    encodings = answer.headers.get_list("Content-Encoding", split_commas=True)
    encoded = [name for name in encodings if name.strip().lower() != "identity"]
    if len(encoded) > 1:
        raise httpx2.DecodingError("the answer has several encodings", request=answer.request)
    if not answer.is_success or "/api/datasets/" in answer.request.url.path:
        answer.stream = _BoundedStream(answer, MAX_ENCODED_BYTES if encoded else MAX_ANSWER_BYTES)


class _BoundedStream(httpx2.SyncByteStream):
    """The body of an answer, up to a number of bytes."""

    def __init__(self, answer: httpx2.Response, limit: int) -> None:
        self._answer = answer
        self._stream = answer.stream
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for chunk in self._stream:
            received += len(chunk)
            if received > self._limit:
                message = f"the answer has more than {self._limit:,} bytes"
                raise httpx2.DecodingError(message, request=self._answer.request)
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _source(selection: Selection, mirrors: Sequence[Path], endpoint: str | None) -> _Source:
    roots = (Path(mirror, "hub", selection.repository) for mirror in mirrors)
    root = next((root for root in roots if root.is_dir()), None)
    return _Mirror(selection, root) if root else _Hub(selection, endpoint)


def _pinned(folder: Path, selection: Selection, source: _Source) -> Listing | None:
    """The listing from an earlier run with the same selection and the same kind of source, or None."""
    for name in (PENDING, LISTING):
        if (folder / name).exists():
            listing = read_listing(folder / name)
            if listing.selection == selection and source.pinned == (listing.commit is not None):
                return listing
    return None


def _is_finished(folder: Path, shard: Shard, *, checked: bool) -> bool:
    """Whether a file is whole. `checked` means that an earlier run verified its digest against the same listing."""
    path = folder / shard.path
    return path.is_file() and path.stat().st_size == shard.bytes and (checked or sha256(path) == shard.sha256)


def _obtain(source: _Source, listing: Listing, shard: Shard, folder: Path, bar: Total) -> None:
    """Downloads a file, verifies it, and then moves it to its final path."""
    arrived = source.fetch(listing, shard, folder / PARTIAL, bar)
    size, digest = arrived.stat().st_size, sha256(arrived)
    if size != shard.bytes or digest != (shard.sha256 or digest):
        arrived.unlink()
        raise ChecksumError(
            "A downloaded file differs from the hub's listing.",
            where=f"datasets/{listing.selection.repository}@{listing.commit}: {shard.path}",
            expected=f"{shard.bytes:,} bytes, sha256 {shard.sha256 or 'unknown'}",
            found=f"{size:,} bytes, sha256 {digest}",
            fix=f"Run the stage again; delete {folder / PENDING} if the repository has changed.",
        )
    target = folder / shard.path
    target.parent.mkdir(parents=True, exist_ok=True)
    arrived.replace(target)


def _with_digest(folder: Path, shard: Shard) -> Shard:
    return shard if shard.sha256 else replace(shard, sha256=sha256(folder / shard.path))


def _unavailable(where: object, error: Exception) -> DownloadError:
    return DownloadError(
        "The hub cannot serve a corpus.",
        where=where,
        found=error,
        fix="Check the network, HF_ENDPOINT and HF_TOKEN, or set MMSREC_MIRROR to a folder that contains "
        "hub/OWNER/NAME. Then run the stage again: it keeps the finished files.",
    )
