"""Describes the files of a project that are no tables of mmsrec: raw files, JSON, weights, reports, pictures."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from PIL import Image
from safetensors import SafetensorError, safe_open

from mmsrec.errors import ArtifactError
from mmsrec.files import read_json

SHOWN = 8  # lines, members or keys of a file
WIDTH = 100  # characters of a line
MEMBERS = 100_000
_LINE = 1 << 16


def describe_file(path: Path) -> list[str]:
    """Says in words what a file is: by its suffix, else by its first bytes.

    Raises:
        ArtifactError: the file is missing, or is not what its suffix says.
    """
    if not path.is_file():
        raise ArtifactError("A file is missing.", where=path, fix="Check the path, or run the stage that writes it.")
    kind, details = KINDS.get(path.suffix.lower(), ("a file of a kind that mmsrec does not write", _unknown))
    try:
        found = [f"  {line}" for line in details(path)]
    except _DAMAGE as error:
        raise ArtifactError(
            f"A file cannot be read as {kind}, as its suffix says.",
            where=path,
            found=str(error)[:WIDTH],
            fix="Correct its suffix. A file that a stage wrote is written again if you delete it and run the stage.",
        ) from error
    return [f"{path}: {kind}, {path.stat().st_size:,} bytes", *found]


# NotImplementedError means a version of zip that Python does not read.
_DAMAGE = (OSError, EOFError, ValueError, NotImplementedError, zlib.error)
_DAMAGE += (zipfile.BadZipFile, tarfile.TarError, SafetensorError)


def _cut(text: str) -> str:
    line = text.rstrip("\r\n")
    return line if len(line) <= WIDTH else f"{line[:WIDTH]}..."


def _text(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        breaks = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        yield f"{breaks:,} line breaks"
        file.seek(0)
        lines = [file.readline(_LINE).decode("utf-8", "replace") for _ in range(SHOWN)]
    yield from (_cut(line) for line in lines if line)


def _gzip(path: Path) -> Iterator[str]:
    with gzip.open(path) as file:
        yield from (_cut(file.readline(_LINE).decode("utf-8", "replace")) for _ in range(SHOWN // 4))


def _zip(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        yield from _members([(info.filename, info.file_size) for info in archive.infolist()])


def _tar(path: Path) -> Iterator[str]:
    with tarfile.open(path) as archive:
        yield from _members([(info.name, info.size) for info in islice(archive, MEMBERS)])


def _members(members: list[tuple[str, int]]) -> Iterator[str]:
    yield f"{len(members):,} members"
    yield from (f"{name!r}, {size:,} bytes" for name, size in members[:SHOWN])


def _json(path: Path) -> Iterator[str]:
    value = read_json(path)
    if not isinstance(value, dict):
        yield f"{type(value).__name__} of {len(value):,}" if isinstance(value, list | str) else _cut(repr(value))
        return
    yield from (f"{key}: {_cut(repr(part))}" for key, part in list(value.items())[: 4 * SHOWN])


def _weights(path: Path) -> Iterator[str]:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    yield f"{len(tensors):,} tensors, {sum(tensor.numel() for tensor in tensors.values()):,} numbers"
    for name, tensor in tensors.items():
        # torch tells whether a number is finite for its larger types alone.
        bad = int((~tensor.float().isfinite()).sum()) if tensor.is_floating_point() else 0
        note = f", {bad:,} NaN or infinite" if bad else ""
        yield f"{name:<48}{str(tensor.dtype).removeprefix('torch.'):<10}{list(tensor.shape)}{note}"


def _picture(path: Path) -> Iterator[str]:
    with Image.open(path) as picture:
        yield f"{picture.format}, {picture.width} x {picture.height} pixels, mode {picture.mode}"


def _nothing(path: Path) -> Iterator[str]:
    yield from ()


def _unknown(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        start = file.read(64)
    yield f"it begins with {start!r}"


# The kinds of files, by suffix: what they are, and the lines about their content.
KINDS: dict[str, tuple[str, Callable[[Path], Iterator[str]]]] = {
    ".csv": ("a CSV table", _text),
    ".tsv": ("a TSV table", _text),
    ".dat": ("text", _text),
    ".txt": ("text", _text),
    ".log": ("a log", _text),
    ".jsonl": ("lines of JSON", _text),
    ".yaml": ("YAML", _text),
    ".md": ("a report in Markdown", _text),
    ".html": ("a page", _text),
    ".tex": ("a table for LaTeX", _text),
    ".svg": ("a drawing", _text),
    ".json": ("JSON", _json),
    ".gz": ("a gzip file", _gzip),
    ".zip": ("a zip archive", _zip),
    ".tar": ("a tar archive", _tar),
    ".safetensors": ("weights of a model", _weights),
    ".pt": ("a checkpoint of a training", _nothing),
    ".png": ("a picture", _picture),
    ".jpg": ("a picture", _picture),
    ".jpeg": ("a picture", _picture),
    ".webp": ("a picture", _picture),
    ".gif": ("a picture", _picture),
    ".pdf": ("a figure in PDF", _nothing),
    ".mp4": ("a video", _nothing),
}
