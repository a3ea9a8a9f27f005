"""Tar shards in the format of WebDataset, as CLIP-WebVid ships them: KEY.npy frame features, KEY.txt, KEY.json.

The files of a clip follow each other. A shard is read as a stream. What a member claims of its size is checked before
anything of that size is read; a clip that is not right is left out and counted by reason.
"""

import io
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from mmsrec.errors import ParseError

MAX_MEMBER_BYTES = 64 * 2**20
MAX_CAPTION_BYTES = 2**16
MAX_HEADER_BYTES = 2**14

# The name up to the first dot after the folders.
_KEY = re.compile(r"(?:\./)?((?:[\w-][\w.+=@, -]*/)*[\w-][\w+=@, -]*)\.([\w.-]+)")
_VERSIONS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Clip(NamedTuple):
    """A clip of a shard.

    Attributes:
        key: its name in the shard.
        caption: not empty, whitespace folded.
        frames: float [frames, width], finite, at least one frame.
    """

    key: str
    caption: str
    frames: np.ndarray


class _Problem(Exception):
    """Why a clip is left out, in words that are the same for all such clips."""


def read_clips(shard: Path, width: int, problems: Counter[str]) -> Iterator[Clip]:
    """Reads the clips of a shard, in its order.

    Args:
        shard: the tar file.
        width: components of a frame's vector.
        problems: counts clips and members that are left out, by reason.

    Raises:
        ParseError: the file is no tar archive, is damaged, or ends before its end mark.
    """
    seen: set[str] = set()
    with _damage_named(shard):
        for key, members in groupby(_members(shard, width, problems), key=itemgetter(0)):
            suffixes, contents = zip(*((suffix, content) for _, suffix, content in members), strict=True)
            if problem := _problem(key, suffixes, seen):
                problems[problem] += 1
            elif all(content is not None for content in contents):
                parts = dict(zip(suffixes, contents, strict=True))
                yield Clip(key, parts["txt"], parts["npy"])
            seen.add(key)


def _problem(key: str, suffixes: Sequence[str], seen: Collection[str]) -> str | None:
    if key in seen:
        return "a clip occurs twice"
    if len(set(suffixes)) < len(suffixes):
        return "a clip has a member twice"
    missing = [suffix for suffix in PARTS if suffix not in suffixes]
    return f"a clip has no .{missing[0]}" if missing else None


def _members(shard: Path, width: int, problems: Counter[str]) -> Iterator[tuple[str, str, object]]:
    """Key, suffix and content of each part of a clip; the content is None where it is not right, or a repetition."""
    passed: tuple[str, set[str]] = ("", set())
    for info, body in _files(shard, problems):
        match = _KEY.fullmatch(info.name)
        if not match:
            problems["a member has no safe name"] += 1
            continue
        key, suffix = match.groups()
        if suffix not in PARTS:
            continue
        if passed[0] != key:
            passed = (key, set())
        content = None
        if suffix not in passed[1]:
            try:
                content = PARTS[suffix](info.size, body, width)
            except _Problem as problem:
                problems[str(problem)] += 1
        passed[1].add(suffix)
        yield key, suffix, content


def _files(shard: Path, problems: Counter[str]) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """The regular files of a tar archive; all but the folders of the others are counted."""
    with shard.open("rb") as file, tarfile.open(fileobj=_Bounded(file), mode="r:") as archive:
        while info := archive.next():
            # The archive keeps every member that it has passed.
            archive.members.clear()
            if archive.offset <= info.offset:
                raise tarfile.ReadError("a header leads backwards")
            if info.isreg() and not info.issparse():
                yield info, archive.extractfile(info)
            elif not info.isdir():
                problems["a member is a link or a device"] += 1
        _check_end(file, archive.offset)


@contextmanager
def _damage_named(shard: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ParseError("A shard is missing.", where=shard, fix="Run the stage that downloads the corpus.") from error
    except (tarfile.TarError, OSError, ValueError, EOFError, RecursionError) as error:
        raise ParseError(
            "A shard is damaged, cut short or no tar archive.",
            where=shard,
            expected="an uncompressed tar archive with its end mark",
            found=error,
            fix="Delete it, and its listing shards.json, and run the stage that downloads the corpus.",
        ) from error


def _check_end(file: BinaryIO, offset: int) -> None:
    # tarfile takes a cut or a damaged header after the first for the end.
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"there is neither a header nor an end mark at byte {offset:,}")


class _Bounded(io.RawIOBase):
    """A file of which no more is read at once than a member may hold, whatever a header claims."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_MEMBER_BYTES:
            raise tarfile.ReadError(f"a header asks for {size:,} bytes")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _caption(size: int, body: BinaryIO, _: int) -> str:
    if size > MAX_CAPTION_BYTES:
        raise _Problem(f"a caption is longer than {MAX_CAPTION_BYTES:,} bytes")
    try:
        caption = " ".join(body.read().decode("utf-8").split())
    except UnicodeDecodeError as error:
        raise _Problem("a caption is not UTF-8") from error
    if not caption:
        raise _Problem("a caption is empty")
    return caption


def _frames(size: int, body: BinaryIO, width: int) -> np.ndarray:
    """The array of a .npy file (numpy's format, versions 1 and 2); one of objects is a pickle and refused."""
    if size > MAX_MEMBER_BYTES:
        raise _Problem(f"an array is larger than {MAX_MEMBER_BYTES:,} bytes")
    shape, by_column, dtype = _header(body)
    if dtype.kind != "f" or dtype.itemsize not in (2, 4):
        raise _Problem("an array is not of float16 or float32")
    if len(shape) != 2 or shape[0] < 1 or shape[1] != width:
        raise _Problem(f"an array is not of the shape (frames, {width:,})")
    if shape[0] * width * dtype.itemsize != size - body.tell():
        raise _Problem("an array has more or fewer bytes than its header says")
    frames = np.frombuffer(body.read(), dtype).reshape(shape, order="F" if by_column else "C")
    if not np.isfinite(frames).all():
        raise _Problem("an array holds a value that is not finite")
    return frames


def _header(body: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        read_header = _VERSIONS[np.lib.format.read_magic(body)]
        return read_header(body, max_header_size=MAX_HEADER_BYTES)
    except (ValueError, TypeError, KeyError, EOFError, SyntaxError, RecursionError, MemoryError) as error:
        raise _Problem("an array has no header of a .npy file") from error


# The parts that a clip needs, and how each is read from its size, its content and the width of a vector.
PARTS: dict[str, Callable[[int, BinaryIO, int], object]] = {"npy": _frames, "txt": _caption}
