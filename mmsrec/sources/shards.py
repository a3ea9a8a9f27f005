"""Tar shards in the format of WebDataset, as in CLIP-WebVid: KEY.npy with frame features, KEY.txt, KEY.json.

The files of a clip follow each other, and a shard is read as a stream. The size in a member's header is checked before
the member is read. A malformed clip is dropped and counted by reason. The code is our own for two reasons. The order of
the clips must not depend on processes and kills. Every size must be bounded.
"""

import io
import re
import tarfile
import tokenize
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

# The key is the path up to the first dot of the file name.
_KEY = re.compile(r"(?:\./)?((?:[\w-][\w.+=@, -]*/)*[\w-][\w+=@, -]*)\.([\w.-]+)")
# The errors of NumPy's reader of headers, which tokenises old headers as Python code.
_NO_HEADER = (ValueError, TypeError, KeyError, EOFError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)
_VERSIONS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Clip(NamedTuple):
    """A clip of a shard.

    Attributes:
        key: name of the clip in the shard.
        caption: text with whitespace folded, not empty.
        frames: float16 or float32, [frames, width], finite, with at least one frame.
    """

    key: str
    caption: str
    frames: np.ndarray


class _Problem(Exception):
    """The reason why a clip is dropped. Equal reasons have equal text, so that they can be counted."""


def read_clips(shard: Path, width: int, problems: Counter[str]) -> Iterator[Clip]:
    """Yields the clips of a shard, in the order of the shard.

    Args:
        shard: the tar file.
        width: number of components of a frame's vector.
        problems: receives the number of dropped clips and members, by reason.

    Raises:
        ParseError: the file is missing, is no tar archive, is damaged, or ends before its end mark.
    """
    seen: set[str] = set()
    with _named_errors(shard):
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
    """Yields key, suffix and content of each part of a clip. The content of a malformed or repeated part is None."""
    seen_key, seen_suffixes = "", set[str]()
    for info, body in _files(shard, problems):
        match = _KEY.fullmatch(info.name)
        if not match:
            problems["a member has no safe name"] += 1
            continue
        key, suffix = match.groups()
        if suffix not in PARTS:
            continue
        if seen_key != key:
            seen_key, seen_suffixes = key, set()
        content = None
        if suffix not in seen_suffixes:
            try:
                content = PARTS[suffix](info.size, body, width)
            except _Problem as problem:
                problems[str(problem)] += 1
        seen_suffixes.add(suffix)
        yield key, suffix, content


def _files(shard: Path, problems: Counter[str]) -> Iterator[tuple[tarfile.TarInfo, BinaryIO]]:
    """Yields the regular files of a tar archive. Links and devices are counted as problems, folders are not."""
    with shard.open("rb") as file, tarfile.open(fileobj=_Bounded(file), mode="r:") as archive:
        while info := archive.next():
            # tarfile keeps each member that it has read. Clearing the list bounds the memory.
            archive.members.clear()
            if archive.offset <= info.offset:
                raise tarfile.ReadError("a header leads backwards")
            if info.isreg() and not info.issparse():
                yield info, archive.extractfile(info)
            elif not info.isdir():
                problems["a member is a link or a device"] += 1
        _check_end(file, archive.offset)


@contextmanager
def _named_errors(shard: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ParseError("A shard is missing.", where=shard, fix="Run the stage that downloads the corpus.") from error
    except (tarfile.TarError, OSError, ValueError, EOFError, RecursionError) as error:
        raise ParseError(
            "A shard is damaged, truncated or no tar archive.",
            where=shard,
            expected="an uncompressed tar archive with its end mark",
            found=error,
            fix="Delete it and its listing shards.json. Then run the stage that downloads the corpus.",
        ) from error


def _check_end(file: BinaryIO, offset: int) -> None:
    # tarfile treats a truncated or damaged header as the end of the archive, except for the first header.
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"there is neither a header nor an end mark at byte {offset:,}")


class _Bounded(io.RawIOBase):
    """A file whose single reads are bounded by the largest size of a member, whatever size a header states."""

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
    """Reads the array of a .npy file (NumPy's format, versions 1 and 2). Arrays of objects are refused."""
    if size > MAX_MEMBER_BYTES:
        raise _Problem(f"an array is larger than {MAX_MEMBER_BYTES:,} bytes")
    shape, by_column, dtype = _header(body)
    if dtype.kind != "f" or dtype.itemsize not in (2, 4):
        raise _Problem("an array is not of float16 or float32")
    if len(shape) != 2 or shape[0] < 1 or shape[1] != width:
        raise _Problem(f"an array is not of the shape (frames, {width:,})")
    if shape[0] * width * dtype.itemsize != size - body.tell():
        raise _Problem("an array has more or fewer bytes than its header states")
    frames = np.frombuffer(body.read(), dtype).reshape(shape, order="F" if by_column else "C")
    if not np.isfinite(frames).all():
        raise _Problem("an array holds a value that is not finite")
    return frames


def _header(body: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        read_header = _VERSIONS[np.lib.format.read_magic(body)]
        return read_header(body, max_header_size=MAX_HEADER_BYTES)
    except _NO_HEADER as error:
        raise _Problem("an array has no header of a .npy file") from error


# The parts that each clip must have. Each reader takes the size, the content and the width of a vector.
PARTS: dict[str, Callable[[int, BinaryIO, int], object]] = {"npy": _frames, "txt": _caption}
